package policies

import "galen/fhir"

// facts is what a rule's purpose and condition are asked about.
type facts struct {
	purpose string
	own     bool // the principal has a patient of its own
}

// condition is a named test of policy.csv. The registry is closed: conditions
// are Go code, and nothing in a policy is ever evaluated as a program.
type condition struct {
	holds func(*facts) bool
	// narrows means that an allow with it covers only the patient's compartment.
	narrows bool
	missing string // what to say when it does not hold
}

// lookupCondition finds a condition by its name in policy.csv.
func lookupCondition(name string) (condition, bool) {
	switch name {
	case "always":
		return condition{holds: func(*facts) bool { return true }}, true
	case "own-compartment":
		return condition{
			holds:   func(f *facts) bool { return f.own },
			narrows: true,
			missing: "a patient in the token",
		}, true
	}
	return condition{}, false
}

// purposes are the v3-ActReason codes a rule may name
// (https://terminology.hl7.org/ValueSet-v3-PurposeOfUse.html).
func purposes() []string {
	return []string{"TREAT", "ETREAT", "BTG", "HPAYMT", "HOPERAT", "HRESCH", "PATRQT", "PUBHLTH", "HTEST"}
}

func ownPatient(p *Principal) bool { return fhir.ValidID(p.Patient) }
