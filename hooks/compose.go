package hooks

import (
	"log/slog"
	"time"

	"galen/cds"
	"galen/hooks/call"
	"galen/hooks/card"
	"galen/hooks/pace"
	"galen/models/manifest"
)

// reply is the cards of an answer and what each result has to do with them.
type reply struct {
	cards []card.Card
	// shown is by result the uuid of the card that shows it, "" for none.
	shown []string
	// hidden is by result why a finding is not shown: "suppressed" or "cap".
	hidden []string
	// rests is by the uuid of a card the results that it rests on.
	rests    map[string][]int
	guidance []cds.Guidance
}

func newReply(results []result) *reply {
	return &reply{shown: make([]string, len(results)), hidden: make([]string, len(results)), rests: map[string][]int{}}
}

// group is the results that say the same: one card shows them.
type group struct {
	lead    int // the result whose words the card has
	others  []int
	key     string
	urgency int
}

// compose makes the reply of the results: models that predict the same outcome
// share a card, the most urgent come first, what the user has just seen is left
// out, and one card tells what could not be assessed and why.
func (d *Dispatcher) compose(in *invocation, s *Service, r call.Request, results []result) *reply {
	out := newReply(results)
	groups := groupResults(results)
	subject := in.subject(r)
	var over []int
	for n := range groups {
		g := &groups[n]
		lead := &results[g.lead]
		id := pace.NewFinding(subject, cmpUser(in, r), s.ID, g.key)
		now := pace.Shown{At: d.Now(), Urgency: g.urgency, Value: riskOf(lead.Assessment)}
		reason := ""
		switch {
		case d.quiet.Repeats(id, now):
			reason = "suppressed"
		case len(out.cards) >= d.Limits.Cards:
			reason = "cap"
			over = append(over, g.lead)
		}
		c := card.Card{UUID: d.NewID()}
		if reason == "" {
			d.fill(&c, results, g)
			if !d.sound(&c, s) {
				reason = "invalid"
			}
		}
		rests := append([]int{g.lead}, g.others...)
		for _, i := range rests {
			if out.hidden[i] = reason; reason == "" {
				out.shown[i] = c.UUID
			}
		}
		if reason != "" {
			d.tally.add(CountHidden, Labels{Service: s.ID, Model: lead.info.Ref.String(), Kind: reason})
			continue
		}
		in.show = append(in.show, func() { d.quiet.Show(id, now) })
		out.cards, out.rests[c.UUID] = append(out.cards, c), rests
		d.tally.add(CountCards, Labels{Service: s.ID, Model: lead.info.Ref.String(), Kind: string(c.Indicator)})
	}
	d.addNotes(in, s, r, results, over, out)
	return out
}

// cmpUser is who would see a finding again.
func cmpUser(in *invocation, r call.Request) string {
	if r.User != "" {
		return r.User
	}
	return in.caller.Principal.Subject
}

// sound holds a card against the rules. One that breaks them is this server's
// mistake: it is logged and does not leave.
func (d *Dispatcher) sound(c *card.Card, s *Service) bool {
	issues := card.Check(c)
	for _, issue := range issues {
		d.Log.Error("card breaks a rule", slog.String("service", s.ID), slog.String("place", issue.At), slog.String("rule", issue.Diagnostics))
	}
	return len(issues) == 0
}

// groupResults puts the results that have an answer into groups, the most
// urgent first.
func groupResults(results []result) []group {
	var groups []group
	byKey := map[string]int{}
	for i := range results {
		if results[i].Assessment == nil || results[i].Headline() == nil {
			continue
		}
		key := outcomeKey(results[i].Assessment)
		n, ok := byKey[key]
		if !ok {
			byKey[key] = len(groups)
			groups = append(groups, group{lead: i, key: key, urgency: urgencyOf(results[i].Assessment)})
			continue
		}
		g := &groups[n]
		if u := urgencyOf(results[i].Assessment); u > g.urgency || (u == g.urgency && present(&results[i]) > present(&results[g.lead])) {
			g.others = append(g.others, g.lead)
			g.lead, g.urgency = i, u
		} else {
			g.others = append(g.others, i)
		}
	}
	rankGroups(groups)
	return groups
}

func rankGroups(groups []group) {
	for i := 1; i < len(groups); i++ { // few, and their order among equals must stay
		for j := i; j > 0 && groups[j].urgency > groups[j-1].urgency; j-- {
			groups[j], groups[j-1] = groups[j-1], groups[j]
		}
	}
}

// outcomeKey is the same for models that predict the same outcome for the same
// time; a model whose outcome has no code stands alone.
func outcomeKey(a *cds.Assessment) string {
	o := a.Headline().Output
	if o.Outcome == nil {
		return a.Model.Manifest.Name
	}
	return o.Outcome.System + "|" + o.Outcome.Code + "|" + string(o.Meaning) + "|" + horizon(o)
}

// horizon is the same for equal horizons.
func horizon(o *manifest.Output) string { return o.Horizon.After(time.Unix(0, 0)).String() }

func urgencyOf(a *cds.Assessment) int {
	if h := a.Headline(); h.Band != nil {
		return card.Indicator(h.Band.Indicator).Urgency()
	}
	return 0
}

// present counts the features that rest on something in the record. "None on
// record" is no evidence that one model knows more than another.
func present(r *result) int {
	n := 0
	for i := range r.Features {
		if len(r.Features[i].Sources) > 0 {
			n++
		}
	}
	return n
}

// riskOf is the headline where more means worse, else 0.
func riskOf(a *cds.Assessment) float64 {
	h := a.Headline()
	if h.Output.Meaning == manifest.Probability || h.Output.Meaning == manifest.Points {
		return h.Value
	}
	return 0
}
