package bundle_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/server/servertest"
)

// randomEntries are entries over few identities, so that they often meet. Every
// resource has a serial number of its own.
func randomEntries(random *rand.Rand, serial *int) []string {
	var entries []string
	var links []string
	for range 1 + random.IntN(5) {
		*serial++
		id, value := string(rune('a'+random.IntN(8))), fmt.Sprint(random.IntN(12))
		full := fmt.Sprintf("urn:uuid:e%d", *serial)
		resource := func(id string) string {
			if id != "" {
				id = `"id":"` + id + `",`
			}
			return fmt.Sprintf(`{"resourceType":"Patient",%s"identifier":[{"system":"s","value":"%s"},{"system":"serial","value":"%d"}]}`, id, value, *serial)
		}
		switch random.IntN(8) {
		case 0:
			entries = append(entries, entryOf("PUT", "Patient/"+id, resource(id), "fullUrl", full))
		case 1:
			entries = append(entries, entryOf("DELETE", "Patient/"+id, ""))
			continue
		case 2:
			entries = append(entries, entryOf("POST", "Patient", resource(""), "fullUrl", full, "ifNoneExist", "identifier=s|"+value))
		case 3:
			entries = append(entries, entryOf("PUT", "Patient?identifier=s|"+value, resource(""), "fullUrl", full))
		case 4:
			entries = append(entries, entryOf("DELETE", "Patient?identifier=s|"+value, ""))
			continue
		case 5:
			entries = append(entries, entryOf("POST", "Patient", resource(""), "fullUrl", full))
		default:
			to := "Patient?identifier=s|" + value
			if len(links) > 0 && random.IntN(2) == 0 {
				to = links[random.IntN(len(links))]
			}
			entries = append(entries, entryOf("POST", "Observation", fmt.Sprintf(
				`{"resourceType":"Observation","identifier":[{"system":"serial","value":"%d"}],"status":"final","code":{"text":"x"},"subject":{"reference":"%s"}}`, *serial, to)))
			continue
		}
		links = append(links, full)
	}
	return entries
}

// state is what a server holds, without the ids that it made: the serial number
// of every resource, and that of what it refers to.
func state(admin servertest.Client) []string {
	serials := map[string]string{}
	var out []string
	for _, resourceType := range []string{"Patient", "Observation"} {
		for e := range admin.Do("GET", resourceType+"?_count=1000", "").Want(200).JSON().Get("entry").Items() {
			r := e.Get("resource")
			list := r.Get("identifier")
			serial := list.Item(list.Len() - 1).Get("value").Text()
			serials[resourceType+"/"+r.Get("id").Text()] = serial
			out = append(out, resourceType+" "+serial+" "+serials[r.Get("subject").Get("reference").Text()]+" "+r.Get("meta").Get("versionId").Text())
		}
	}
	slices.Sort(out)
	return out
}

// "The outcome of processing the transaction SHALL NOT depend on the order of the
// resources in the transaction" (https://hl7.org/fhir/R4/http.html#trules).
func TestOrderDoesNotMatter(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 1))
	one, other := servertest.Start(t, servertest.Options{}).As("admin"), servertest.Start(t, servertest.Options{}).As("admin")
	const rounds = 600
	serial, performed := 0, 0
	for range rounds {
		entries := randomEntries(random, &serial)
		order := random.Perm(len(entries))
		shuffled := make([]string, len(entries))
		for i, at := range order {
			shuffled[i] = entries[at]
		}
		a := one.Do("POST", "", bundleOf("transaction", entries...))
		b := other.Do("POST", "", bundleOf("transaction", shuffled...))
		if a.Status >= 500 || (a.Status == 200) != (b.Status == 200) {
			t.Fatalf("%d %s\n%d %s\n%s\n%s", a.Status, a.Body, b.Status, b.Body, entries, shuffled)
		}
		if a.Status != 200 {
			continue
		}
		performed++
		for i, at := range order {
			x, y := a.JSON().Get("entry").Item(at).Get("response"), b.JSON().Get("entry").Item(i).Get("response")
			if x.Get("status").Text() != y.Get("status").Text() || x.Get("etag").Text() != y.Get("etag").Text() {
				t.Fatalf("%s: %s and %s", entries[at], x.Raw(), y.Raw())
			}
		}
		if diff := cmp.Diff(state(one), state(other)); diff != "" {
			t.Fatalf("%s\n%s\n%s", diff, entries, shuffled)
		}
	}
	if t.Logf("%d of %d were performed", performed, rounds); performed < 50 {
		t.Error("too few transactions were performed to show anything")
	}
}
