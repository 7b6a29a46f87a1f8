package parse

import (
	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/search"
)

// nearby is how far near reaches if the client does not say, which R4 leaves to
// the server.
const nearby = 10_000 // meters

// near reads latitude|longitude|distance|unit, kilometres if there is no unit
// (https://hl7.org/fhir/R4/location.html#search).
func (s *state) near(piece string) (search.Test, error) {
	parts := split(piece, '|')
	if len(parts) < 2 || len(parts) > 4 {
		return nil, s.fail(fhir.Value, "latitude|longitude|distance|unit is needed")
	}
	latitude, err1 := decimal.Parse(parts[0])
	longitude, err2 := decimal.Parse(parts[1])
	t := search.NearTest{Latitude: latitude.Float64(), Longitude: longitude.Float64(), Meters: nearby}
	if err1 != nil || err2 != nil || t.Latitude < -90 || t.Latitude > 90 || t.Longitude < -180 || t.Longitude > 180 {
		return nil, s.fail(fhir.Value, "not a latitude and longitude in degrees")
	}
	if len(parts) == 2 || parts[2] == "" {
		return t, nil
	}
	distance, err := decimal.Parse(parts[2])
	if err != nil || distance.Float64() < 0 {
		return nil, s.fail(fhir.Value, "the distance is not a number of at least 0")
	}
	unit := "km"
	if len(parts) == 4 && parts[3] != "" {
		unit = unescape(parts[3])
	}
	meters, base, err := s.units.Canonical(distance, unit)
	if err != nil || base != "m" {
		return nil, s.fail(fhir.Value, "the unit is not a UCUM unit of length")
	}
	t.Meters = meters.Float64()
	return t, nil
}
