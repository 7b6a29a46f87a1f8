package r4

import samply "github.com/samply/golang-fhir-models/fhir-models/fhir"

// Device is one version of a model as the performer of assessments
// (https://hl7.org/fhir/R4/device.html).
type Device struct {
	Identifiers  []Identifier
	Name         string
	Type         Concept
	Manufacturer string
	Version      string
	Properties   []Property
	Notes        []string
}

// Property is Device.property with a code as its value, such as a digest.
type Property struct {
	Type  Concept
	Value Concept
}

// JSON writes the resource.
func (d Device) JSON() ([]byte, error) {
	out := samply.Device{
		Identifier: identifiers(d.Identifiers), Type: concept(d.Type), Manufacturer: opt(d.Manufacturer),
		DeviceName: []samply.DeviceDeviceName{{Name: d.Name, Type: samply.DeviceNameTypeModelName}},
		Version:    []samply.DeviceVersion{{Value: d.Version}}, Note: notes(d.Notes),
	}
	status := samply.FHIRDeviceStatusActive
	out.Status = &status
	for _, p := range d.Properties {
		out.Property = append(out.Property, samply.DeviceProperty{
			Type: *concept(p.Type), ValueCode: concepts([]Concept{p.Value}),
		})
	}
	return marshal("r4.Device", out)
}
