package policies

import "galen/fhir"

// facts is what is known of a principal and the moment beside roles and
// purpose, as a set.
type facts uint8

// The facts that conditions ask for.
const (
	ownPatient  facts = 1 << iota // the token names a patient of its own
	knownUser                     // the token names the user as a FHIR resource
	emergency                     // a break-glass access of the user is open
	officeHours                   // it is between 07:00 and 19:00, Monday to Friday
	strongAuth                    // the user signed in with more than one factor
)

// condition is a named test of policy.csv. The registry is closed: conditions
// are Go code, and nothing in a policy is ever evaluated as a program.
type condition struct {
	needs facts
	// narrows means that an allow with it covers only some resources: Engine.narrow
	// says which.
	narrows bool
	missing string // what to say when it does not hold
}

// The conditions that narrow.
const (
	ownCompartment = "own-compartment" // of the token's patient
	careTeam       = "care-team"       // of patients whom the user cares for
	consentPermits = "consent-permits" // of patients whose Consent expressly permits it
	notRestricted  = "not-restricted"  // without a confidentiality of R or V
	breakGlass     = "break-glass"     // of the patient of an emergency access
)

// lookupCondition finds a condition by its name in policy.csv.
func lookupCondition(name string) (condition, bool) {
	switch name {
	case "always":
		return condition{}, true
	case ownCompartment:
		return condition{needs: ownPatient, narrows: true, missing: "a patient in the token"}, true
	case careTeam:
		return condition{needs: knownUser, narrows: true, missing: "a fhirUser in the token"}, true
	case breakGlass:
		return condition{needs: emergency, narrows: true, missing: "an open break-glass access"}, true
	case consentPermits, notRestricted:
		return condition{narrows: true}, true
	case "business-hours":
		return condition{needs: officeHours, missing: "business hours"}, true
	case "mfa":
		return condition{needs: strongAuth, missing: "a second factor"}, true
	}
	return condition{}, false
}

// holds reports whether what the condition needs is there.
func (c condition) holds(f facts) bool { return f&c.needs == c.needs }

// asked is what Casbin hands to the functions of model.conf.
type asked struct {
	purpose string
	facts   facts
}

// purposes are the v3-ActReason codes a rule may name
// (https://terminology.hl7.org/ValueSet-v3-PurposeOfUse.html).
func purposes() []string {
	return []string{"TREAT", "ETREAT", "BTG", "HPAYMT", "HOPERAT", "HRESCH", "PATRQT", "PUBHLTH", "HTEST"}
}

// facts gathers what the conditions ask for.
func (e *Engine) facts(p *Principal) facts {
	var f facts
	if fhir.ValidID(p.Patient) {
		f |= ownPatient
	}
	if p.FHIRUser != "" {
		f |= knownUser
	}
	if p.MFA {
		f |= strongAuth
	}
	if e.layers.Emergencies != nil && len(e.layers.Emergencies.Active(p.Subject)) > 0 {
		f |= emergency
	}
	if e.active.Load().timed && inOfficeHours(e.layers.now()) {
		f |= officeHours
	}
	return f
}
