"""Features that several models read, with their codes.

Many codes are in the Synthea records, the R4 definitions or other models; the rest
of ICD-10, RxNorm, ATC, LOINC and SNOMED CT was not looked up in a terminology: check
a code before you rest on it. Lists of
diagnoses and drugs are exact codes, not hierarchies: what is coded otherwise is
not seen, and every card says so.
"""
LOINC, SCT, RXNORM, ATC = ("http://loinc.org", "http://snomed.info/sct",
                           "http://www.nlm.nih.gov/research/umls/rxnorm", "http://www.whocc.no/atc")
ICD10CM, ICD10, GENDER = ("http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/icd-10",
                          "http://hl7.org/fhir/administrative-gender")
OMB = "urn:oid:2.16.840.1.113883.6.238"
ITEM = "http://galen.health/fhir/CodeSystem/score-item"  # answers that no terminology at hand has a code for


def coding(system, code, display, **more): return {"system": system, "code": code, "display": display, **more}
def loinc(code, display, **more): return coding(LOINC, code, display, **more)
def sct(code, display, **more): return coding(SCT, code, display, **more)


def icd(code, display, world=None):
    """ICD-10-CM, and ICD-10 where the code means the same there."""
    out = [coding(ICD10CM, code, display)]
    if world:
        out.append(coding(ICD10, world if isinstance(world, str) else code, display))
    return out


def observation(name, label, codes, unit, missing="required", aggregate="latest", **more):
    return {"name": name, "label": label, "kind": "observation", "codes": codes, "unit": unit, **more,
            "aggregate": aggregate, "missing": missing}


def recorded(name, label, kind, codes, **more):
    return {"name": name, "label": label, "kind": kind, "codes": codes, **more, "aggregate": "any", "missing": "optional"}


def condition(name, label, codes, **more): return recorded(name, label, "condition", codes, **more)
def medication(name, label, codes): return recorded(name, label, "medication", codes)
def changed(feature, **more): return {**feature, **more}


YES_NO = [loinc("LA33-6", "Yes", value=1), loinc("LA32-8", "No", value=0),
          sct("373066001", "Yes", value=1), sct("373067005", "No", value=0)]


def item(code, label, window="30d", missing="default", categories=None, **more):
    """An answer of the person who fills in the score: Observation.valueBoolean, a yes or no, or valueInteger."""
    f = observation(code.replace("-", "_"), label, [coding(ITEM, code, label)], "1", missing, window=window,
                    categories=categories or YES_NO, plausible={"ge": 0, "le": more.pop("most", 1)})
    if missing == "default":
        f |= {"default": 0, "default_note": f"{label[0].lower() + label[1:]} is not recorded, so it is taken as no"}
    return f


AGE = {"name": "age", "label": "Age", "kind": "age", "unit": "a", "plausible": {"ge": 0, "le": 120}, "missing": "required"}
SEX = {"name": "sex", "label": "Sex", "kind": "sex",
       "categories": [coding(GENDER, "male", "Male", value=1), coding(GENDER, "female", "Female", value=0)], "missing": "required"}
RACE = {"name": "race", "label": "Race", "kind": "race", "categories": [
    coding(OMB, "2054-5", "Black or African American", value=1), coding(OMB, "2106-3", "White", value=0),
    coding(OMB, "1002-5", "American Indian or Alaska Native", value=0), coding(OMB, "2028-9", "Asian", value=0),
    coding(OMB, "2076-8", "Native Hawaiian or Other Pacific Islander", value=0), coding(OMB, "2131-1", "Other Race", value=0)],
    "missing": "default", "default": 0,
    "default_note": "race is not recorded, so the equations for White people are used, as the guideline says for all who are not African American"}

EGFR = observation("egfr", "eGFR", [
    loinc("98979-8", "GFR predicted by creatinine-based formula (CKD-EPI 2021)"),
    loinc("62238-1", "GFR predicted by creatinine-based formula (CKD-EPI)"),
    loinc("33914-3", "GFR predicted by creatinine-based formula (MDRD)")], "mL/min/{1.73_m2}", "optional",
    conversions=[{"unit": "mL/min", "multiply": 1}], window="2y", plausible={"gt": 0, "le": 250})
CREATININE = observation("creatinine", "Creatinine", [
    loinc("2160-0", "Creatinine [Mass/volume] in Serum or Plasma"), loinc("38483-4", "Creatinine [Mass/volume] in Blood"),
    loinc("14682-9", "Creatinine [Moles/volume] in Serum or Plasma")], "mg/dL", "optional",
    conversions=[{"unit": "umol/L", "divide": 88.4}, {"unit": "mmol/L", "multiply": 1000, "divide": 88.4}],
    window="2y", plausible={"ge": 0.1, "le": 30})
ACR = observation("acr", "Urine albumin/creatinine ratio", [
    loinc("9318-7", "Albumin/Creatinine [Mass Ratio] in Urine"), loinc("14959-1", "Microalbumin/Creatinine [Mass Ratio] in Urine"),
    loinc("14958-3", "Microalbumin/Creatinine [Mass Ratio] in 24 hour Urine"),
    loinc("32294-1", "Albumin/Creatinine [Ratio] in Urine"), loinc("30000-4", "Microalbumin/Creatinine [Ratio] in Urine"),
    loinc("77253-3", "Microalbumin/Creatinine [Ratio] in Urine by Detection limit <= 1.0 mg/L")], "mg/g",
    conversions=[{"unit": "mg/mmol", "multiply": 8.84}, {"unit": "g/mol", "multiply": 8.84}, {"unit": "mg/mmol{creat}", "multiply": 8.84}],
    window="2y", comparator="use", plausible={"gt": 0, "le": 25000})


def cholesterol(name, label, mass, moles, unit, low, high):
    convert = {"mg/dL": [{"unit": "mmol/L", "divide": 0.02586}], "mmol/L": [{"unit": "mg/dL", "multiply": 0.02586}]}[unit]
    factor = 1 if unit == "mg/dL" else 0.02586
    return observation(name, label, [loinc(*mass), loinc(*moles)], unit, conversions=convert, window="5y",
                       plausible={"ge": round(low * factor, 3), "le": round(high * factor, 3)})


def total_cholesterol(unit="mg/dL"):
    return cholesterol("total_cholesterol", "Total cholesterol", ("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma"),
                       ("14647-2", "Cholesterol [Moles/volume] in Serum or Plasma"), unit, 40, 1000)


def hdl(unit="mg/dL"):
    return cholesterol("hdl", "HDL cholesterol", ("2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma"),
                       ("14646-4", "Cholesterol in HDL [Moles/volume] in Serum or Plasma"), unit, 5, 200)


BP_PANELS = [loinc("85354-9", "Blood pressure panel with all children optional"), loinc("35094-2", "Blood pressure panel"),
             loinc("55284-4", "Blood pressure systolic and diastolic")]
SBP = observation("systolic", "Systolic blood pressure", [loinc("8480-6", "Systolic blood pressure", panels=BP_PANELS)],
                  "mm[Hg]", window="2y", plausible={"ge": 20, "le": 350})
DBP = observation("diastolic", "Diastolic blood pressure", [loinc("8462-4", "Diastolic blood pressure", panels=BP_PANELS)],
                  "mm[Hg]", window="2y", plausible={"ge": 10, "le": 250})
BMI = observation("bmi", "Body mass index", [loinc("39156-5", "Body mass index (BMI) [Ratio]")], "kg/m2", "optional",
                  window="2y", plausible={"ge": 8, "le": 150})
WEIGHT = observation("weight", "Body weight", [loinc("29463-7", "Body weight")], "kg", "optional", window="2y", plausible={"ge": 20, "le": 500})
HEIGHT = observation("height", "Body height", [loinc("8302-2", "Body height")], "cm", "optional", window="10y", plausible={"ge": 80, "le": 250})
BODY = [["bmi", "weight"], ["bmi", "height"]]  # for require
HBA1C = observation("hba1c", "HbA1c", [
    loinc("59261-8", "Hemoglobin A1c/Hemoglobin.total in Blood by IFCC protocol"),
    loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
    loinc("17856-6", "Hemoglobin A1c/Hemoglobin.total in Blood by HPLC")], "mmol/mol",
    conversions=[{"unit": "%", "offset": -2.15, "multiply": 10.929}], window="2y", plausible={"ge": 10, "le": 250})
RESPIRATION = observation("respiratory_rate", "Respiratory rate", [loinc("9279-1", "Respiratory rate"), sct("86290005", "Respiratory rate")],
                          "/min", conversions=[{"unit": "{breaths}/min", "multiply": 1}], window="24h", plausible={"ge": 0, "le": 100})
PULSE = observation("pulse", "Pulse", [loinc("8867-4", "Heart rate"), sct("364075005", "Heart rate")], "/min",
                    conversions=[{"unit": "{beats}/min", "multiply": 1}], window="24h", plausible={"ge": 10, "le": 350})
CONSCIOUSNESS = {"name": "consciousness", "label": "Altered consciousness", "kind": "observation", "codes": [
    loinc("67775-7", "Level of responsiveness"), sct("1104441000000107", "ACVPU scale score"),
    loinc("9269-2", "Glasgow coma score total", unit="{score}",
          bins=[{"lt": 15, "value": 1, "label": "not alert"}, {"ge": 15, "value": 0, "label": "alert"}])],
    "categories": [sct("248234008", "Mentally alert", value=0), sct("130987000", "Acute confusion", value=1),
                   sct("300202002", "Responds to voice", value=1), sct("450847001", "Responds to pain", value=1),
                   sct("422768004", "Unresponsive", value=1), loinc("LA9340-6", "Alert", value=0),
                   loinc("LA6560-2", "Confused", value=1), loinc("LA17108-4", "Verbal", value=1),
                   loinc("LA17107-6", "Painful", value=1), loinc("LA9343-0", "Unresponsive", value=1)],
    "window": "24h", "aggregate": "latest", "missing": "required"}

BILIRUBIN = observation("bilirubin", "Bilirubin", [loinc("1975-2", "Bilirubin.total [Mass/volume] in Serum or Plasma"),
                                                   loinc("14631-6", "Bilirubin.total [Moles/volume] in Serum or Plasma")], "mg/dL",
                        conversions=[{"unit": "umol/L", "divide": 17.1}], window="30d", plausible={"ge": 0.05, "le": 100})
INR = observation("inr", "INR", [loinc("6301-6", "INR in Platelet poor plasma by Coagulation assay"),
                                 loinc("34714-6", "INR in Blood by Coagulation assay")], "1", window="30d", plausible={"ge": 0.5, "le": 25})
SODIUM = observation("sodium", "Sodium", [loinc("2951-2", "Sodium [Moles/volume] in Serum or Plasma"),
                                          loinc("2947-0", "Sodium [Moles/volume] in Blood")], "mmol/L",
                     conversions=[{"unit": "meq/L", "multiply": 1}], window="30d", plausible={"ge": 80, "le": 200})
ALBUMIN = observation("albumin", "Albumin", [loinc("1751-7", "Albumin [Mass/volume] in Serum or Plasma")], "g/dL",
                      window="30d", plausible={"ge": 0.5, "le": 8})
AST = observation("ast", "AST", [loinc("1920-8", "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma")],
                  "U/L", window="180d", plausible={"gt": 0, "le": 50000})
ALT = observation("alt", "ALT", [loinc("1742-6", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma")],
                  "U/L", window="180d", plausible={"gt": 0, "le": 50000})
PLATELETS = observation("platelets", "Platelets", [loinc("777-3", "Platelets [#/volume] in Blood by Automated count"),
                                                   loinc("26515-7", "Platelets [#/volume] in Blood")], "10*3/uL",
                        window="180d", plausible={"gt": 0, "le": 5000})
SMOKER = {"name": "smoker", "label": "Current smoker", "kind": "observation",
          "codes": [loinc("72166-2", "Tobacco smoking status")], "categories": [
    sct("449868002", "Smokes tobacco daily", value=1), sct("428041000124106", "Occasional tobacco smoker", value=1),
    sct("428071000124103", "Heavy tobacco smoker", value=1), sct("428061000124105", "Light tobacco smoker", value=1),
    sct("77176002", "Smoker", value=1), sct("8517006", "Former smoker", value=0), sct("266919005", "Never smoked tobacco", value=0),
    loinc("LA18976-3", "Current every day smoker", value=1), loinc("LA18977-1", "Current some day smoker", value=1),
    loinc("LA18981-3", "Heavy tobacco smoker", value=1), loinc("LA18982-1", "Light tobacco smoker", value=1),
    loinc("LA18979-7", "Smoker, current status unknown", value=1),
    loinc("LA15920-4", "Former smoker", value=0), loinc("LA18978-9", "Never smoker", value=0)],
    "window": "5y", "aggregate": "latest", "missing": "required"}

DIABETES_CODES = [sct("44054006", "Diabetes mellitus type 2"), sct("73211009", "Diabetes mellitus"), sct("46635009", "Diabetes mellitus type 1"),
                  *icd("E11.9", "Type 2 diabetes mellitus without complications", True), *icd("E10.9", "Type 1 diabetes mellitus without complications", True),
                  *icd("E11.65", "Type 2 diabetes mellitus with hyperglycemia"), *icd("E11.22", "Type 2 diabetes mellitus with diabetic chronic kidney disease"),
                  *icd("E11.21", "Type 2 diabetes mellitus with diabetic nephropathy"), *icd("E11.40", "Type 2 diabetes mellitus with diabetic neuropathy, unspecified"),
                  *icd("E11.42", "Type 2 diabetes mellitus with diabetic polyneuropathy"), *icd("E13.9", "Other specified diabetes mellitus without complications", True),
                  coding(ICD10, "E11", "Type 2 diabetes mellitus"), coding(ICD10, "E10", "Type 1 diabetes mellitus"),
                  sct("127013003", "Diabetic renal disease"), sct("368581000119106", "Neuropathy due to type 2 diabetes mellitus")]
DIABETES = condition("diabetes", "Diabetes on record", DIABETES_CODES)
HYPERTENSION = condition("hypertension", "Hypertension on record", [
    sct("59621000", "Essential hypertension"), sct("38341003", "Hypertensive disorder"), *icd("I10", "Essential (primary) hypertension", True)])
CVD = condition("cvd", "Cardiovascular disease on record", [
    sct("22298006", "Myocardial infarction"), sct("399211009", "History of myocardial infarction"), sct("53741008", "Coronary arteriosclerosis"),
    sct("414545008", "Ischemic heart disease"), sct("230690007", "Stroke"), sct("422504002", "Ischemic stroke"),
    sct("266257000", "Transient ischemic attack"), sct("400047006", "Peripheral vascular disease"),
    *icd("I25.10", "Atherosclerotic heart disease of native coronary artery without angina pectoris"), *icd("I25.2", "Old myocardial infarction", True),
    *icd("I21.9", "Acute myocardial infarction, unspecified", True), *icd("I63.9", "Cerebral infarction, unspecified", True),
    *icd("G45.9", "Transient cerebral ischemic attack, unspecified", True), *icd("Z86.73", "Personal history of TIA and cerebral infarction without residual deficits"),
    *icd("I73.9", "Peripheral vascular disease, unspecified", True)], past=True)
HEART_FAILURE = [sct("84114007", "Heart failure"), sct("42343007", "Congestive heart failure"), sct("88805009", "Chronic congestive heart failure"),
                 *icd("I50.9", "Heart failure, unspecified", True)]


def drugs(*rows):
    """(RxNorm ingredient, ATC code or None, name)."""
    return [c for rx, atc, name in rows for c in [coding(RXNORM, rx, name)] + ([coding(ATC, atc, name)] if atc else [])]


BP_DRUGS = medication("bp_treatment", "Blood pressure medication", [
    coding(RXNORM, "314076", "lisinopril 10 MG Oral Tablet"), coding(RXNORM, "314077", "lisinopril 20 MG Oral Tablet"),
    coding(RXNORM, "308136", "amlodipine 2.5 MG Oral Tablet"), coding(RXNORM, "197361", "amlodipine 5 MG Oral Tablet"),
    coding(RXNORM, "310798", "hydrochlorothiazide 25 MG Oral Tablet"), coding(RXNORM, "897718", "verapamil hydrochloride 40 MG"),
    *drugs(("29046", "C09AA03", "lisinopril"), ("17767", "C08CA01", "amlodipine"), ("5487", "C03AA03", "hydrochlorothiazide"),
           ("52175", "C09CA01", "losartan"), ("69749", "C09CA03", "valsartan"), ("6918", "C07AB02", "metoprolol"),
           ("1202", "C07AB03", "atenolol"), ("3827", "C09AA02", "enalapril"), ("35296", "C09AA05", "ramipril"),
           ("20352", "C07AG02", "carvedilol"), ("2409", "C03BA04", "chlorthalidone"), ("7417", "C08CA05", "nifedipine"),
           ("3443", "C08DB01", "diltiazem"), ("11170", "C08DA01", "verapamil"), ("83818", "C09CA04", "irbesartan"),
           ("214354", "C09CA06", "candesartan"), ("73494", "C09CA07", "telmisartan"), ("19484", "C07AB07", "bisoprolol"))])
STATIN = medication("statin", "Statin", [
    coding(RXNORM, "312961", "simvastatin 20 MG Oral Tablet"), coding(RXNORM, "314231", "simvastatin 10 MG Oral Tablet"),
    *drugs(("36567", "C10AA01", "simvastatin"), ("83367", "C10AA05", "atorvastatin"), ("301542", "C10AA07", "rosuvastatin"),
           ("42463", "C10AA03", "pravastatin"), ("6472", "C10AA02", "lovastatin"), ("41127", "C10AA04", "fluvastatin"))])
