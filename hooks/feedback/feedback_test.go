package feedback_test

import (
	"testing"

	"galen/fhir"
	"galen/hooks/feedback"
)

// Whatever comes, feedback is read or refused as the client's fault; what is
// read keeps the rules.
func FuzzParse(f *testing.F) {
	f.Add(`{"feedback":[{"card":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea","outcome":"accepted","acceptedSuggestions":[{"id":"d1577c69-dfbe-44ad-ba6d-3e05e953b2eb"}],"outcomeTimestamp":"2026-11-24T12:01:00Z"}]}`)
	f.Add(`{"feedback":[{"card":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea","outcome":"overridden","overrideReason":{"reason":{"code":"a","system":"b"},"userComment":"c"},"outcomeTimestamp":"2026-11-24T12:01:00.5+01:00"}]}`)
	f.Add(`{"feedback":{"card":1}}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := feedback.Parse([]byte(text))
		if err != nil {
			if s := fhir.KindOf(err).Status(); s != 400 && s != 413 {
				t.Errorf("%v", err)
			}
			return
		}
		for _, one := range all {
			if len(one.Card) != 36 || one.At.IsZero() && one.At.Year() != 1 || (one.Outcome == feedback.Accepted) != (len(one.Suggestions) > 0) {
				t.Errorf("%+v", one)
			}
		}
	})
}
