package policies

import (
	"testing"

	"galen/fhir/spec"
)

// BenchmarkDecideUncached measures a verdict of Casbin by the shipped policy.
func BenchmarkDecideUncached(b *testing.B) {
	defs, err := spec.Load()
	if err != nil {
		b.Fatal(err)
	}
	e, err := New(Shipped(), defs)
	if err != nil {
		b.Fatal(err)
	}
	s := e.active.Load()
	for name, p := range map[string]Principal{
		"clinician": {Roles: []string{"clinician"}, Purpose: "TREAT"},
		"patient":   {Roles: []string{"patient"}, Patient: "p1"},
		"denied":    {Roles: []string{"ehr"}},
	} {
		b.Run(name, func(b *testing.B) {
			k := s.keyOf(defs, &p, Request{Action: Read, Type: "Observation"}, e.facts(&p))
			for b.Loop() {
				if v := s.decide(k); v.reason == Failed {
					b.Fatal(v)
				}
			}
		})
	}
}

// BenchmarkNew measures how long a new revision takes to be tried and ready.
func BenchmarkNew(b *testing.B) {
	defs, err := spec.Load()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := New(Shipped(), defs); err != nil {
			b.Fatal(err)
		}
	}
}
