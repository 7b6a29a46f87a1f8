package policies

import (
	"slices"

	"galen/fhir"
	"galen/fhir/search"
	"galen/fhir/spec"
)

// limits says for each resource type how a principal limited to one patient is
// kept to it. A type that is not in it cannot be seen by such a principal.
type limits map[string]limit

// limit is how one type is kept to a patient.
type limit struct {
	open   bool     // belongs to no patient: everything
	self   bool     // the Patient itself, by id
	shared bool     // nobody's, or linked to the patient
	params []string // reference parameters that link it to the patient, one suffices
}

// openTypes are outside the Patient compartment and describe no patient: those
// who care, what is prescribed, and definitions. Whatever is named neither here
// nor in the compartment is closed.
func openTypes() []string {
	return []string{
		"Practitioner", "PractitionerRole", "Organization", "OrganizationAffiliation", "Location", "HealthcareService",
		"Endpoint", "Medication", "MedicationKnowledge", "Substance", "SubstanceSpecification", "Schedule", "Slot",
		"ActivityDefinition", "CapabilityStatement", "CodeSystem", "CompartmentDefinition", "ConceptMap",
		"DeviceDefinition", "EventDefinition", "ImplementationGuide", "InsurancePlan", "Library", "Measure",
		"NamingSystem", "OperationDefinition", "PlanDefinition", "Questionnaire", "ResearchStudy",
		"SearchParameter", "StructureDefinition", "StructureMap", "ValueSet",
	}
}

// newLimits reads the Patient compartment
// (https://hl7.org/fhir/R4/compartmentdefinition-patient.html), less strict
// readings left out: Patient.link would open another person's Patient, a Group
// names its other members, and the AuditEvents of a patient name who else asked.
func newLimits(defs *spec.Definitions) limits {
	all := limits{}
	patient, ok := defs.Compartment("Patient")
	if !ok {
		return all
	}
	for _, name := range patient.ResourceTypes() {
		all[name] = limit{params: patient.Params(name)}
	}
	for _, name := range openTypes() {
		all[name] = limit{open: true}
	}
	all["Patient"] = limit{self: true}
	all["Device"] = limit{shared: true, params: []string{"patient"}}
	delete(all, "Group")
	delete(all, "AuditEvent")
	return all
}

// filter is the condition that a resource of the type belongs to one of the
// patients; not ok means that nothing of the type may be seen.
func (l limits) filter(resourceType string, patients ...string) (search.Expr, bool) {
	how, ok := l[resourceType]
	switch {
	case !ok || len(patients) == 0 || slices.ContainsFunc(patients, func(p string) bool { return !fhir.ValidID(p) }):
		return nil, false
	case how.open:
		return nil, true
	case how.self:
		return search.HasID{IDs: patients}, true
	}
	test := make([]search.Test, len(patients))
	for i, p := range patients {
		test[i] = search.ReferenceTest{Key: fhir.Key{Type: "Patient", ID: p}}
	}
	links := make(search.Any, 0, len(how.params)+1)
	for _, p := range how.params {
		links = append(links, search.Where{Param: p, Any: test})
	}
	if how.shared {
		links = append(links, search.Not{Of: search.Present{Param: how.params[0]}})
	}
	if len(links) == 1 {
		return links[0], true
	}
	return links, true
}
