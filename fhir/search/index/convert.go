package index

import (
	"strings"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/fhir/spec"
)

type converter = func(*walk, *emit, jsontree.Node)

// converters is the table of what a value of a FHIR type means to a parameter of
// a type (https://hl7.org/fhir/R4/search.html#ptypes); what is not in it has no
// meaning there and no entry.
var converters = [...]map[string]converter{
	spec.Token: {
		"Coding": coding, "CodeableConcept": concept, "Identifier": identifier, "ContactPoint": contact,
		"boolean": truth, "code": code, "string": plainToken, "id": plainToken, "uri": plainToken, "url": plainToken,
		"canonical": plainToken, "oid": plainToken, "uuid": plainToken, "markdown": plainToken,
		"integer": plainToken, "positiveInt": plainToken, "unsignedInt": plainToken,
	},
	spec.String: {
		"string": text, "markdown": text, "code": text, "id": text, "uri": text, "url": text,
		"HumanName": parts("family", "given", "prefix", "suffix", "text"),
		"Address":   parts("line", "city", "district", "state", "postalCode", "country", "text"),
	},
	spec.Date:   {"date": date, "dateTime": date, "instant": date, "Period": period, "Timing": timing},
	spec.Number: {"integer": number, "positiveInt": number, "unsignedInt": number, "decimal": number, "Range": numberRange},
	spec.Quantity: {
		"Quantity": quantity, "SimpleQuantity": quantity, "MoneyQuantity": quantity, "Age": quantity, "Count": quantity,
		"Distance": quantity, "Duration": quantity, "Money": money, "Range": quantityRange, "SampledData": sampled,
	},
	spec.Reference: {"Reference": reference, "canonical": literal, "uri": literal, "url": literal},
	spec.URI: {
		"uri": uri, "url": uri, "oid": uri, "uuid": uri, "canonical": canonical, "string": uri, "id": uri,
	},
	spec.Composite: nil,
	spec.Special:   nil,
}

// token adds a token, unless it is empty.
func (w *walk) token(e *emit, system, code string) {
	if system == "" && code == "" {
		return
	}
	t := search.Token{System: system, Code: code, Folded: search.CaseBlind(system)}
	if t.Folded {
		t.Code = strings.ToLower(code)
	}
	w.add(e, t)
}

// words adds what :text searches.
func (w *walk) words(e *emit, text string) {
	if w.composing || text == "" {
		return
	}
	if text = search.NormalizeWords(text); text != "" {
		w.add(e, search.Text{Norm: text})
	}
}

func coding(w *walk, e *emit, v jsontree.Node) {
	w.token(e, v.Get("system").Text(), v.Get("code").Text())
	w.words(e, v.Get("display").Text())
}

func concept(w *walk, e *emit, v jsontree.Node) {
	for c := range v.Get("coding").Items() {
		coding(w, e, c)
	}
	w.words(e, v.Get("text").Text())
}

func identifier(w *walk, e *emit, v jsontree.Node) {
	value := v.Get("value").Text()
	w.token(e, v.Get("system").Text(), value)
	kind := v.Get("type")
	for c := range kind.Get("coding").Items() {
		if code := c.Get("code").Text(); code != "" && value != "" && !w.composing {
			w.add(e, search.TypedIdentifier{System: c.Get("system").Text(), Code: code, Value: value})
		}
	}
	w.words(e, kind.Get("text").Text())
}

// contact: the kind of contact point is taken for its system, as other servers
// do ("phone|555"); neither mail addresses nor numbers heed case.
func contact(w *walk, e *emit, v jsontree.Node) {
	if value := v.Get("value").Text(); value != "" {
		w.add(e, search.Token{System: v.Get("system").Text(), Code: strings.ToLower(value), Folded: true})
	}
}

// specialValues is the implied system of booleans.
const specialValues = "http://hl7.org/fhir/special-values"

func boolean(b bool) search.Token {
	if b {
		return search.Token{System: specialValues, Code: "true"}
	}
	return search.Token{System: specialValues, Code: "false"}
}

func truth(w *walk, e *emit, v jsontree.Node) {
	if k := v.Kind(); k == jsontree.True || k == jsontree.False {
		w.add(e, boolean(k == jsontree.True))
	}
}

// code gets the system that a required binding implies.
func code(w *walk, e *emit, v jsontree.Node) {
	if c := v.Text(); c != "" && e.implied != nil {
		w.token(e, e.implied(c), c)
	} else {
		w.token(e, "", c)
	}
}

func plainToken(w *walk, e *emit, v jsontree.Node) { w.token(e, "", v.Text()) }

func text(w *walk, e *emit, v jsontree.Node) {
	if s := v.Text(); s != "" {
		w.add(e, search.String{Exact: s, Norm: search.Normalize(s)})
	}
}

// parts makes a converter that adds each named part on its own.
func parts(names ...string) converter {
	return func(w *walk, e *emit, v jsontree.Node) {
		for _, name := range names {
			for part := range v.Get(name).Items() {
				text(w, e, part)
			}
		}
	}
}

// span is the interval of a date, dateTime or instant.
func (w *walk) span(v jsontree.Node) (fhir.Period, bool) {
	if v.Kind() != jsontree.String {
		return fhir.Period{}, false
	}
	p, _, err := fhir.ParseDateTime(v.Text(), w.opts.Zone)
	return p, err == nil
}

func date(w *walk, e *emit, v jsontree.Node) {
	if p, ok := w.span(v); ok {
		w.add(e, search.Date{Period: p})
	}
}

// bounds is the interval of a Period: a side without a date is open. If it ends
// before it starts, it is what lies between.
func (w *walk) bounds(v jsontree.Node) (fhir.Period, bool) {
	start, ok1 := w.span(v.Get("start"))
	end, ok2 := w.span(v.Get("end"))
	p := fhir.Period{Low: fhir.Beginning, High: fhir.End}
	if ok1 {
		p.Low = start.Low
	}
	if ok2 {
		p.High = end.High
	}
	if p.Low >= p.High {
		p = fhir.Period{Low: end.Low, High: start.High}
	}
	return p, ok1 || ok2
}

func period(w *walk, e *emit, v jsontree.Node) {
	if p, ok := w.bounds(v); ok {
		w.add(e, search.Date{Period: p})
	}
}

// timing: only the outer limits of a schedule matter
// (https://hl7.org/fhir/R4/search.html#date).
func timing(w *walk, e *emit, v jsontree.Node) {
	hull, any := w.bounds(v.Get("repeat").Get("boundsPeriod"))
	for event := range v.Get("event").Items() {
		p, ok := w.span(event)
		switch {
		case !ok:
		case !any:
			hull, any = p, true
		default:
			hull.Low, hull.High = min(hull.Low, p.Low), max(hull.High, p.High)
		}
	}
	if any {
		w.add(e, search.Date{Period: hull})
	}
}

// figure is the value of a JSON number.
func figure(v jsontree.Node) (decimal.Decimal, bool) {
	if v.Kind() != jsontree.Number {
		return decimal.Decimal{}, false
	}
	d, err := decimal.Parse(v.Text())
	return d, err == nil
}

func number(w *walk, e *emit, v jsontree.Node) {
	if d, ok := figure(v); ok {
		w.add(e, search.Number{Range: search.Range{Low: d, High: d}})
	}
}

// ends is the interval of a Range element.
func ends(v jsontree.Node) (search.Range, bool) {
	low, ok1 := figure(v.Get("low").Get("value"))
	high, ok2 := figure(v.Get("high").Get("value"))
	return search.Range{Low: low, High: high, OpenLow: !ok1, OpenHigh: !ok2}, ok1 || ok2
}

func numberRange(w *walk, e *emit, v jsontree.Node) {
	if r, ok := ends(v); ok {
		w.add(e, search.Number{Range: r})
	}
}

// reference adds where it leads, its identifier as a token and its display as
// words (https://hl7.org/fhir/R4/search.html#reference).
func reference(w *walk, e *emit, v jsontree.Node) {
	literal(w, e, v.Get("reference"))
	if id := v.Get("identifier"); id.Exists() {
		w.token(e, id.Get("system").Text(), id.Get("value").Text())
	}
	w.words(e, v.Get("display").Text())
}

func literal(w *walk, e *emit, v jsontree.Node) {
	if s := v.Text(); s != "" {
		w.add(e, search.ParseReference(s, w.opts.Base))
	}
}

// target is the resource type that a Reference leads to, "" if it does not say.
func (w *walk) target(v jsontree.Node) string {
	text := v.Get("reference").Text()
	ref := fhir.ParseReference(text)
	switch {
	case ref.Key.Type != "":
		return ref.Key.Type
	case strings.HasPrefix(text, "#"):
		return w.containedType(text[1:])
	}
	return strings.TrimPrefix(v.Get("type").Text(), "http://hl7.org/fhir/StructureDefinition/")
}

func (w *walk) containedType(id string) string {
	if w.contained == nil {
		w.contained = make(map[string]string)
		for c := range w.resource.Root().Get("contained").Items() {
			w.contained[c.Get("id").Text()] = c.Get("resourceType").Text()
		}
	}
	return w.contained[id]
}

func uri(w *walk, e *emit, v jsontree.Node) {
	if s := v.Text(); s != "" {
		w.add(e, search.URI{URI: s})
	}
}

// canonical is found with its version and without.
func canonical(w *walk, e *emit, v jsontree.Node) {
	uri(w, e, v)
	if base, _, versioned := strings.Cut(v.Text(), "|"); versioned && base != "" {
		w.add(e, search.URI{URI: base})
	}
}

func position(w *walk, e *emit, v jsontree.Node) {
	latitude, ok1 := figure(v.Get("latitude"))
	longitude, ok2 := figure(v.Get("longitude"))
	if ok1 && ok2 {
		w.add(e, search.Position{Latitude: latitude.Float64(), Longitude: longitude.Float64()})
	}
}
