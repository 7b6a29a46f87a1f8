package hooks

import (
	"context"
	"slices"
	"sync"
	"time"

	"galen/cds/feature"
	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/hooks/call"
	"galen/hooks/prefetch"
	"galen/hooks/remote"
)

// gathered is what is known of the patient, and what is not.
type gathered struct {
	data     []prefetch.Data // by template
	evidence feature.Evidence
}

// fetchShare is how much of the budget fetching may take, so that the models
// still run when a server is slow.
const fetchShare = 0.7

// gather fills the service's templates and sorts what they hold.
func (d *Dispatcher) gather(ctx context.Context, in *invocation, s *Service, r call.Request) (*gathered, error) {
	within, cancel := context.WithTimeout(ctx, time.Duration(float64(d.Limits.Budget)*fetchShare))
	defer cancel()
	filler := prefetch.Filler{Source: d.source(in, r), Now: d.Now()}
	if in.local(r) {
		filler.Holds = d.Local
	} else {
		filler.Server = r.Server
	}
	data, err := filler.Fill(within, s.plan, r.Context.Member, r.Prefetch)
	if err != nil {
		return nil, err
	}
	g := &gathered{data: data}
	return g, g.sort(r)
}

// source is where absent keys are fetched: the server that the call names, if
// the client's registration permits it, else the own store when the patient
// lives there. nil is nowhere: ids of one server mean nothing on another.
func (d *Dispatcher) source(in *invocation, r call.Request) prefetch.Source {
	local := &localPatient{source: d.localFor(in), patient: r.Patient}
	if in.local(r) {
		if d.Local == nil {
			return nil
		}
		return local
	}
	client := d.client(in.caller.Principal)
	listed, ok := client.Server(r.Server)
	if !ok {
		return nil
	}
	if d.Remote != nil {
		if far, err := d.Remote.Source(remote.Target{Base: r.Server, Listed: listed, Token: r.Token}); err == nil {
			if client.Options.SharedIDs && d.Local != nil {
				return &either{far, local}
			}
			return far
		}
	}
	if listed && client.Options.SharedIDs && d.Local != nil {
		return local
	}
	return nil
}

// localFor is the own store as the caller may use it.
func (d *Dispatcher) localFor(in *invocation) prefetch.Source {
	if personal, ok := d.Local.(Personal); ok {
		return personal.For(in.caller.Principal)
	}
	return d.Local
}

// localPatient is the own store for one patient: for one whom it does not know
// it has nothing, which is not the same as knowing that there is nothing.
type localPatient struct {
	source  prefetch.Source
	patient string
	once    sync.Once
	err     error
}

// Fetch reads or searches the store.
func (l *localPatient) Fetch(ctx context.Context, query string) ([]prefetch.Item, error) {
	read := "Patient/" + l.patient
	if query == read {
		return l.source.Fetch(ctx, query)
	}
	l.once.Do(func() { _, l.err = l.source.Fetch(ctx, read) })
	if l.err != nil {
		return nil, l.err
	}
	return l.source.Fetch(ctx, query)
}

// either asks a server and, if that fails, the own store.
type either struct {
	prefetch.Pager
	second prefetch.Source
}

// Fetch asks the first source that can answer.
func (e *either) Fetch(ctx context.Context, query string) ([]prefetch.Item, error) {
	items, err := e.Pager.Fetch(ctx, query)
	if err == nil || ctx.Err() != nil {
		return items, err
	}
	return e.second.Fetch(ctx, query)
}

// sort makes evidence of what the keys hold. A patient with another id than the
// context's is refused: prefetch of two patients mixed up must never make a
// card.
func (g *gathered) sort(r call.Request) error {
	const op = "hooks.evidence"
	ev := &g.evidence
	ev.PatientID = r.Patient
	seen := map[string]bool{}
	for i := range g.data {
		for _, it := range g.data[i].Items {
			item := feature.Item(it)
			if i == 0 { // the Patient
				if it.Resource.Key != (fhir.Key{Type: "Patient", ID: r.Patient}) {
					if !r.Prefetch.Get(patientKey).Exists() { // fetched: the caller did nothing wrong
						return lacking(patientKey)
					}
					return fhir.E(op, fhir.Value, "prefetch."+patientKey, "the Patient is not the one of context.patientId")
				}
				ev.Patient = item
				continue
			}
			if !seen[it.Citation] {
				seen[it.Citation] = true
				ev.Items = append(ev.Items, item)
			}
		}
	}
	if ev.Patient.Resource.Root().Kind() == jsontree.Absent {
		return lacking(patientKey)
	}
	return nil
}

// unavailable are the types of which a model's own queries did not bring all.
func (g *gathered) unavailable(needs []need) []string {
	var types []string
	for _, n := range needs {
		if d := &g.data[n.template]; (d.Missing() || d.Partial) && !slices.Contains(types, n.resource) {
			types = append(types, n.resource)
		}
	}
	return types
}

func lacking(key string) error {
	return fhir.E("hooks.gather", fhir.Precondition, "prefetch."+key, "prefetch "+key+" is needed and was neither sent nor to be had")
}

// blocked is the key without which a model cannot be run, "" if there is none.
func (g *gathered) blocked(needs []need) string {
	for _, n := range needs {
		if d := &g.data[n.template]; n.required && d.Missing() {
			return d.Key
		}
	}
	return ""
}

// incomplete are the other keys of a model that could not be had, or not whole.
func (g *gathered) incomplete(needs []need) []string {
	var keys []string
	for _, n := range needs {
		if d := &g.data[n.template]; d.Partial || (d.Missing() && !n.required) {
			keys = append(keys, d.Key)
		}
	}
	return keys
}
