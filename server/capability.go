package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"galen/fhir"
	"galen/fhir/capability"
	"galen/fhir/view"
)

// declared keeps the CapabilityStatements of the bases that the server is
// reached under, since making one takes a while.
type declared struct {
	mu   sync.Mutex
	made map[declaredKey][]byte
}

type declaredKey struct {
	base, mode string
	smart      capability.SMART
}

// maxDeclared is how many are kept: clients choose the base where BaseURL does
// not.
const maxDeclared = 8

// capabilities answers GET [base]/metadata
// (https://hl7.org/fhir/R4/http.html#capabilities). mode=normative is answered
// as full, which holds it.
func (s *Server) capabilities(ctx context.Context, r *request) (response, error) {
	query, err := url.ParseQuery(r.query)
	if err != nil {
		return response{}, fhir.E("server.capabilities", fhir.Malformed, "", "the query is not URL-encoded")
	}
	key := declaredKey{r.fhirBase(), query.Get("mode"), s.oauth(ctx)}
	switch key.mode {
	case "", "normative":
		key.mode = "full"
	case "full", "terminology":
	default:
		return response{}, fhir.E("server.capabilities", fhir.Value, "mode", "full, normative or terminology is needed")
	}
	body := s.declare(key)
	want, err := view.Parse(r.query)
	if err != nil {
		return response{}, err
	}
	if body, err = view.Apply(s.REST.Defs, want, body); err != nil {
		return response{}, err
	}
	sum := sha256.Sum256(body)
	tag := `W/"` + hex.EncodeToString(sum[:8]) + `"`
	header := http.Header{"Etag": {tag}}
	for known := range strings.SplitSeq(r.header.Get("If-None-Match"), ",") {
		if known = strings.TrimSpace(known); known == tag || known == strings.TrimPrefix(tag, "W/") || known == "*" {
			return response{status: http.StatusNotModified, header: header}, nil
		}
	}
	return response{header: header, body: body}, nil
}

func (s *Server) declare(key declaredKey) []byte {
	s.declared.mu.Lock()
	defer s.declared.mu.Unlock()
	if body, ok := s.declared.made[key]; ok {
		return body
	}
	if len(s.declared.made) >= maxDeclared || s.declared.made == nil {
		s.declared.made = map[declaredKey][]byte{}
	}
	body := s.statement(key)
	s.declared.made[key] = body
	return body
}

func (s *Server) statement(key declaredKey) []byte {
	st := s.REST.Capabilities(key.base)
	if key.mode == "terminology" {
		return s.terminology(st)
	}
	st.SMART = key.smart
	st.Operations = s.operationsOn("")
	for i := range st.Resources {
		st.Resources[i].Operations = s.operationsOn(st.Resources[i].Type)
	}
	return st.JSON()
}

// operationsOn lists the operations of a resource type, "" for the system.
func (s *Server) operationsOn(resourceType string) []capability.Operation {
	var out []capability.Operation
	for _, d := range s.ops.Definitions() {
		if d.On(resourceType, "") || resourceType != "" && d.On(resourceType, "x") {
			out = append(out, capability.Operation{Name: d.Name, URL: d.URL})
		}
	}
	return out
}

// terminology is the TerminologyCapabilities, made of the operations on
// terminology.
func (s *Server) terminology(st capability.Statement) []byte {
	t := capability.Terminology{Statement: st}
	for _, d := range s.ops.Definitions() {
		switch d.Name {
		case "expand":
			for _, p := range d.Params {
				t.Expand = append(t.Expand, p.Name)
			}
			slices.Sort(t.Expand)
		case "validate-code":
			t.ValidateOne = true
		case "translate":
			t.Translate = true
		}
	}
	return t.JSON()
}

// oauth is where apps get their tokens. While that cannot be found out it is
// left out: a statement without it is better than none.
func (s *Server) oauth(ctx context.Context) capability.SMART {
	e, err := s.endpoints(ctx)
	if err != nil {
		s.Log.WarnContext(ctx, "authorization server not reached", slog.Any("error", err))
	}
	return capability.SMART{
		Authorize: e.Authorization, Token: e.Token, Register: e.Registration,
		Manage: e.Management, Introspect: e.Introspection, Revoke: e.Revocation,
	}
}
