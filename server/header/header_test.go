package header_test

import (
	"net/http"
	"strings"
	"testing"

	"galen/server/header"
)

func TestPrefer(t *testing.T) {
	cases := []struct {
		name  string
		lines []string
		want  string
	}{
		{"none", nil, ""},
		{"alone", []string{"return=minimal"}, "minimal"},
		{"quoted", []string{`return="minimal"`}, "minimal"},
		{"among others", []string{"respond-async, return=representation; handling=strict"}, "representation"},
		{"in a second line", []string{"handling=strict", "return=OperationOutcome"}, "OperationOutcome"},
		{"spaces and case of the name", []string{" Return = minimal "}, "minimal"},
		{"the first counts", []string{"return=minimal, return=representation"}, "minimal"},
		{"without a value", []string{"return"}, ""},
		{"a longer name", []string{"returned=minimal"}, ""},
	}
	for _, c := range cases {
		if got := header.Prefer(http.Header{"Prefer": c.lines}, "return"); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestRequestID(t *testing.T) {
	for id, want := range map[string]bool{
		"abc-123": true, "a_b:c/d=": true, "{0190}": true, strings.Repeat("x", 128): true,
		"": false, "a b": false, `a"b`: false, "a\nb": false, "é": false, "<a>": false, strings.Repeat("x", 129): false,
	} {
		if got := header.RequestID(id); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}
