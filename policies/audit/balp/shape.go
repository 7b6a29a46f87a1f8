package balp

import "galen/policies/audit"

// Code systems.
const (
	systemDCM         = "http://dicom.nema.org/resources/ontology/DCM"
	systemType        = "http://terminology.hl7.org/CodeSystem/audit-event-type"
	systemInteraction = "http://hl7.org/fhir/restful-interaction"
	systemEntityType  = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
	systemObjectRole  = "http://terminology.hl7.org/CodeSystem/object-role"
	systemSource      = "http://terminology.hl7.org/CodeSystem/security-source-type"
	systemPart        = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	systemPurpose     = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	systemBALPEntity  = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
	systemBALPAgent   = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes"
	systemOwn         = "urn:galen:audit-event" // what no standard has a code for

	profileBase  = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
	profileToken = profileBase + "OAUTHaccessTokenUse.Minimal"
)

// shape is how a kind looks as an AuditEvent.
type shape struct {
	event   coding
	subtype coding
	action  string // C, R, U, D or E
	// profile is the BALP profile's name; "Patient" goes before it when a patient
	// is concerned. "" where BALP has none.
	profile string
	// reads means that data flow from the server to the client, so that the
	// client is the destination. For queries BALP follows DICOM: the query flows,
	// and the client is the source.
	reads bool
	user  string // v3-ParticipationType of the user
}

func rest(k audit.Kind, action, profile string, reads bool, user string) shape {
	return shape{
		coding{systemType, "rest", "Restful Operation"},
		coding{systemInteraction, string(k), string(k)},
		action, profile, reads, user,
	}
}

func dicom(code, display string, subtype coding, action string) shape {
	return shape{coding{systemDCM, code, display}, subtype, action, "", false, "IRCP"}
}

func own(k audit.Kind) coding { return coding{System: systemOwn, Code: string(k)} }

// shapeOf is the table from kinds to AuditEvents
// (https://profiles.ihe.net/ITI/BALP/, DICOM PS3.16 CID 400 and 401).
func shapeOf(k audit.Kind) shape {
	switch k {
	case audit.Read, audit.VRead:
		return rest(k, "R", "Read", true, "IRCP")
	case audit.HistoryInstance, audit.HistoryType, audit.HistorySystem:
		return rest(k, "R", "", true, "IRCP")
	case audit.Search, audit.SearchSystem:
		return rest(k, "E", "Query", false, "IRCP")
	case audit.Create:
		return rest(k, "C", "Create", false, "AUT")
	case audit.Update, audit.Patch:
		return rest(k, "U", "Update", false, "AUT")
	case audit.Delete:
		return rest(k, "D", "Delete", false, "AUT")
	case audit.Transaction, audit.Batch:
		return rest(k, "E", "", false, "AUT")
	case audit.Operation:
		return rest(k, "E", "", false, "IRCP")
	case audit.HookCall, audit.HookFeedback, audit.Inference, audit.ModelChange:
		return dicom("110100", "Application Activity", own(k), "E")
	case audit.Start:
		return dicom("110100", "Application Activity", coding{systemDCM, "110120", "Application Start"}, "E")
	case audit.Stop:
		return dicom("110100", "Application Activity", coding{systemDCM, "110121", "Application Stop"}, "E")
	case audit.Login:
		return dicom("110114", "User Authentication", coding{systemDCM, "110122", "Login"}, "E")
	case audit.PolicyChange:
		return dicom("110113", "Security Alert", coding{systemDCM, "110129", "Security Configuration"}, "U")
	case audit.BreakGlass:
		return dicom("110113", "Security Alert", coding{systemDCM, "110127", "Emergency Override Started"}, "E")
	case audit.BreakGlassStop:
		return dicom("110113", "Security Alert", coding{systemDCM, "110138", "Emergency Override Stopped"}, "E")
	case audit.AuditUse:
		return dicom("110101", "Audit Log Used", own(k), "R")
	case audit.AuditExport:
		return dicom("110106", "Export", own(k), "R")
	case audit.Import:
		return dicom("110107", "Import", own(k), "C")
	}
	return dicom("110100", "Application Activity", own(k), "E")
}
