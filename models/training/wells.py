"""What the Wells scores share."""
import features as F

CANCER = F.condition("cancer", "Active cancer on record", [F.sct("363346000", "Malignant neoplastic disease"), F.sct("254637007", "Non-small cell lung cancer"), *F.icd("C34.90", "Malignant neoplasm of unspecified part of unspecified bronchus or lung"),
                     *F.icd("C50.919", "Malignant neoplasm of unspecified site of unspecified female breast"), *F.icd("C61", "Malignant neoplasm of prostate", True), *F.icd("C18.9", "Malignant neoplasm of colon, unspecified", True)])
DVT = [F.sct("132281000119108", "Acute deep venous thrombosis"), F.sct("128053003", "Deep venous thrombosis"), *F.icd("Z86.718", "Personal history of other venous thrombosis and embolism")]
PE = [F.sct("706870000", "Acute pulmonary embolism"), F.sct("59282003", "Pulmonary embolism"), *F.icd("Z86.711", "Personal history of pulmonary embolism")]
NOTE = "Findings at the bedside are answers under codes of Galen's own; what is not recorded is taken as no, and the result says so. Without the judgement on the alternative diagnosis there is no score."
