package function

import (
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/path/element"
	"galen/fhir/path/machine"
	"galen/fhir/path/system"
)

// fhirFunctions are those of https://hl7.org/fhir/R4/fhirpath.html#functions and
// the clock of N1, 5.9. elementDefinition and slice need profiles and are not
// offered: an expression with them does not compile.
var fhirFunctions = map[string]machine.Function{
	"extension":      {Min: 1, Max: 1, Run: extension},
	"hasValue":       {Run: hasValue},
	"getValue":       {Run: getValue},
	"resolve":        {Run: resolve},
	"checkModifiers": {Max: anyNumber, Run: checkModifiers},
	"conformsTo":     {Min: 1, Max: 1, Run: conformsTo},
	"memberOf":       {Min: 1, Max: 1, Run: memberOf},
	"subsumes":       {Min: 1, Max: 1, Run: subsumption(false)},
	"subsumedBy":     {Min: 1, Max: 1, Run: subsumption(true)},
	"htmlChecks":     {Run: htmlChecks},

	"now":       {Run: now(func(t system.Temporal) (system.Temporal, bool) { return t, true })},
	"today":     {Run: now(func(t system.Temporal) (system.Temporal, bool) { return t.As(system.Date) })},
	"timeOfDay": {Run: now(func(t system.Temporal) (system.Temporal, bool) { return t.As(system.Time) })},
}

// now makes a function of the clock, which Env gives.
func now(part func(system.Temporal) (system.Temporal, bool)) body {
	return func(c *machine.Run, n *machine.Call, base int) error {
		if c.Env.Now.IsZero() {
			return &machine.Error{Offset: n.Offset, Kind: fhir.NotSupported, Msg: "no clock for this evaluation"}
		}
		t, _ := part(system.Of(c.Env.Now))
		return c.Result(base, element.FromTemporal(t))
	}
}

func extension(c *machine.Run, n *machine.Call, base int) error {
	url, given, err := c.Arg(n, 0)
	if err != nil {
		return err
	}
	want, isText := url.Str()
	if given && !isText {
		return machine.Misfit(n.Offset, "expected a String")
	}
	top := len(c.Items)
	for i := base; i < top && given; i++ {
		for x := range c.Items[i].Extensions().Items() {
			if x.Get("url").Text() == want {
				c.Push(c.Types.Typed("Extension", x))
			}
			c.Left--
		}
	}
	c.Settle(base, top)
	return c.Spend(0, n.Offset)
}

func hasValue(c *machine.Run, _ *machine.Call, base int) error {
	return c.Result(base, element.BoolItem(len(c.Items) == base+1 && c.Items[base].HasValue()))
}

func getValue(c *machine.Run, n *machine.Call, base int) error {
	items := c.Above(base)
	c.Cut(base)
	if len(items) != 1 || !items[0].HasValue() {
		return nil
	}
	return c.PushValue(items[0].Value(), n.Offset)
}

// checkModifiers lets its input through if it has no modifier extensions but
// those listed.
func checkModifiers(c *machine.Run, n *machine.Call, base int) error {
	var known []string
	for i := range n.Args {
		it, _, err := c.Arg(n, i)
		if err != nil {
			return err
		}
		s, _ := it.Str()
		known = append(known, s)
	}
	for _, it := range c.Above(base) {
		for x := range it.Node().Get("modifierExtension").Items() {
			if url := x.Get("url").Text(); !slices.Contains(known, url) {
				return machine.Misfit(n.Offset, "an element has a modifier extension that is not known")
			}
		}
	}
	return nil
}

const coreProfile = "http://hl7.org/fhir/StructureDefinition/"

// conformsTo asks Env.Conforms; without it only R4's own types are known, and
// an item conforms to those that its type is.
func conformsTo(c *machine.Run, n *machine.Call, base int) error {
	it, ok, err := machine.One(c.Above(base), n.Offset)
	c.Cut(base)
	if err != nil || !ok {
		return err
	}
	profile, given, err := c.Arg(n, 0)
	if err != nil || !given {
		return err
	}
	url, _ := profile.Str()
	if c.Env.Conforms != nil {
		ok, err := c.Env.Conforms(c.Ctx, it, url)
		if err != nil {
			return &machine.Error{Offset: n.Offset, Kind: fhir.KindOf(err), Msg: "conformsTo failed", Cause: err}
		}
		return c.Result(base, element.BoolItem(ok))
	}
	name, core := strings.CutPrefix(url, coreProfile)
	t := c.Types.Lookup(name)
	if !core || t == nil {
		return &machine.Error{Offset: n.Offset, Kind: fhir.NotSupported, Msg: "no such profile"}
	}
	return c.Result(base, element.BoolItem(it.Is(t)))
}

func terminology(c *machine.Run, n *machine.Call) error {
	if c.Env.Terminology == nil {
		return &machine.Error{Offset: n.Offset, Kind: fhir.NotSupported, Msg: "no terminology service for this evaluation"}
	}
	return nil
}

func memberOf(c *machine.Run, n *machine.Call, base int) error {
	it, ok, err := machine.One(c.Above(base), n.Offset)
	c.Cut(base)
	if err != nil || !ok {
		return err
	}
	valueSet, given, err := c.Arg(n, 0)
	if err != nil || !given {
		return err
	}
	if err := terminology(c, n); err != nil {
		return err
	}
	url, _ := valueSet.Str()
	return answer(c, n, func() (bool, bool, error) { return c.Env.Terminology.MemberOf(c.Ctx, it, url) })
}

func subsumption(reverse bool) body {
	return func(c *machine.Run, n *machine.Call, base int) error {
		a, okA, err := machine.One(c.Above(base), n.Offset)
		c.Cut(base)
		if err != nil {
			return err
		}
		b, okB, err := c.Arg(n, 0)
		if err != nil || !okA || !okB {
			return err
		}
		if err := terminology(c, n); err != nil {
			return err
		}
		if reverse {
			a, b = b, a
		}
		return answer(c, n, func() (bool, bool, error) { return c.Env.Terminology.Subsumes(c.Ctx, a, b) })
	}
}

// answer pushes what the terminology says, nothing if it does not know.
func answer(c *machine.Run, n *machine.Call, ask func() (value, known bool, err error)) error {
	v, known, err := ask()
	if err != nil {
		return &machine.Error{Offset: n.Offset, Kind: fhir.KindOf(err), Msg: "the terminology service failed", Cause: err}
	}
	if known {
		c.Push(element.BoolItem(v))
	}
	return nil
}

// resolve follows References, canonicals and other URIs: to a contained
// resource, an entry of the same Bundle, or what Env.Resolve finds. What cannot
// be resolved is left out (https://hl7.org/fhir/R4/fhirpath.html#functions).
func resolve(c *machine.Run, n *machine.Call, base int) error {
	top := len(c.Items)
	for i := base; i < top; i++ {
		it := c.Items[i]
		ref, ok := it.Str()
		if !ok {
			ref = it.Node().Get("reference").Text()
		}
		if ref == "" {
			continue
		}
		if found := target(c, it, ref); !found.IsZero() {
			c.Push(found)
		}
		if err := c.Spend(0, n.Offset); err != nil {
			return err
		}
	}
	c.Settle(base, top)
	return nil
}

func target(c *machine.Run, from element.Item, ref string) element.Item {
	if found := c.Place.Target(from, ref); !found.IsZero() || c.Env.Resolve == nil || strings.HasPrefix(ref, "#") {
		return found
	}
	found, ok := c.Env.Resolve(c.Ctx, ref)
	if !ok {
		return element.Item{}
	}
	found = c.Types.Adopt(found)
	c.Place.Add(found)
	return found
}

// htmlChecks is the rule of narratives, txt-1 and txt-2.
func htmlChecks(c *machine.Run, n *machine.Call, base int) error {
	it, ok, err := machine.One(c.Above(base), n.Offset)
	c.Cut(base)
	if err != nil || !ok {
		return err
	}
	if err := c.Spend(len(it.Node().Raw())/8, n.Offset); err != nil {
		return err
	}
	valid, ok := it.Narrative()
	if !ok {
		return machine.Misfit(n.Offset, "expected an xhtml value")
	}
	return c.Result(base, element.BoolItem(valid))
}
