package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"galen/fhir/jsontree"
	"galen/policies/audit"
	"galen/policies/compliance"
	"galen/server/auth"
)

// childEnv makes the test binary the program itself, for tests that kill it.
const childEnv = "GALEN_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// child is a galen serve process of its own.
type child struct {
	cmd    *exec.Cmd
	url    string
	client *http.Client
	logged chan struct{} // closed when its log has ended
}

// serveChild starts the program on that data and waits until it serves.
func serveChild(t *testing.T, dir string) *child {
	t.Helper()
	c := &child{
		cmd:    exec.Command(os.Args[0], "serve", "--data", dir, "--addr", "127.0.0.1:0"),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 30 * time.Second},
		logged: make(chan struct{}),
	}
	c.cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr := make(chan string, 1)
	go func() {
		defer close(c.logged)
		defer close(addr)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var line struct{ Msg, Addr string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
				addr <- line.Addr
			}
		}
	}()
	select {
	case a, ok := <-addr:
		if !ok {
			t.Fatal("the child ended before it served")
		}
		c.url = "http://" + a
	case <-time.After(20 * time.Second):
		_ = c.cmd.Process.Kill()
		t.Fatal("the child does not serve")
	}
	return c
}

// end signals the process and waits for it.
func (c *child) end(t *testing.T, signal os.Signal) error {
	t.Helper()
	if err := c.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	<-c.logged
	c.client.CloseIdleConnections()
	return c.cmd.Wait()
}

// send makes a request; an error is that of the connection.
func (c *child) send(method, path, token, request, body string) (int, jsontree.Node, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		return 0, jsontree.Node{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Header.Set("X-Request-Id", request)
	res, err := c.client.Do(req)
	if err != nil {
		return 0, jsontree.Node{}, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, jsontree.Node{}, err
	}
	doc, err := jsontree.Parse(text, jsontree.Limits{})
	if err != nil {
		return res.StatusCode, jsontree.Node{}, nil
	}
	return res.StatusCode, doc.Root(), nil
}

// written is an acknowledged version of a resource.
type written struct {
	request string // X-Request-Id of the write
	ref     string // "Patient/1/_history/2"
	mark    string // what the version must hold
}

// txSize is how many Observations a transaction of the crash test makes.
const txSize = 300

// journal is what the clients of the crash test know.
type journal struct {
	token string

	mu     sync.Mutex
	writes []written
	sent   map[string]bool // transaction → acknowledged
	odd    []string        // answers that should not be
	acked  chan struct{}   // a transaction was acknowledged in this round
}

func (j *journal) note(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f()
}

// client writes until the server is gone.
func (j *journal) client(c *child, name string, random *rand.Rand) {
	for n := 0; ; n++ {
		request := fmt.Sprintf("%s-%d", name, n)
		var err error
		switch kind := random.IntN(24); {
		case kind == 0 || n == 0:
			err = j.transaction(c, request)
		case kind <= 8:
			body := `{"resourceType":"Patient","identifier":[{"system":"crash","value":"` + request + `"}]}`
			err = j.write(c, "POST", "/fhir/Patient", request, body)
		default:
			id := fmt.Sprintf("%s-%d", name[:strings.LastIndex(name, "-")], random.IntN(3))
			body := `{"resourceType":"Patient","id":"` + id + `","identifier":[{"system":"crash","value":"` + request + `"}]}`
			err = j.write(c, "PUT", "/fhir/Patient/"+id, request, body)
		}
		if err != nil {
			return
		}
	}
}

func (j *journal) write(c *child, method, path, request, body string) error {
	status, root, err := c.send(method, path, j.token, request, body)
	if err != nil {
		return err
	}
	j.note(func() {
		if status != 200 && status != 201 {
			j.odd = append(j.odd, fmt.Sprintf("%s %s: %d", method, path, status))
			return
		}
		ref := "Patient/" + root.Get("id").Text() + "/_history/" + root.Get("meta").Get("versionId").Text()
		j.writes = append(j.writes, written{request, ref, request})
	})
	return nil
}

// transaction sends txSize Observations of one new Patient.
func (j *journal) transaction(c *child, request string) error {
	var b strings.Builder
	b.WriteString(`{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:p","resource":{"resourceType":"Patient","identifier":[{"system":"crash","value":"` +
		request + `"}]},"request":{"method":"POST","url":"Patient"}}`)
	for range txSize {
		b.WriteString(`,{"resource":{"resourceType":"Observation","identifier":[{"system":"tx","value":"` + request +
			`"}],"status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:p"}},"request":{"method":"POST","url":"Observation"}}`)
	}
	b.WriteString("]}")
	j.note(func() { j.sent[request] = false })
	status, root, err := c.send("POST", "/fhir", j.token, request, b.String())
	if err != nil {
		return err
	}
	j.note(func() {
		if status != 200 || root.Get("entry").Len() != txSize+1 {
			j.odd = append(j.odd, fmt.Sprintf("transaction: %d", status))
			return
		}
		j.sent[request] = true
		select {
		case j.acked <- struct{}{}:
		default:
		}
		for e := range root.Get("entry").Items() {
			location := e.Get("response").Get("location").Text()
			ref := location[strings.Index(location, "/fhir/")+len("/fhir/"):]
			j.writes = append(j.writes, written{request, ref, request})
		}
	})
	return nil
}

// check holds what a restarted server has against what was acknowledged since
// the check before, and against every transaction there was.
func (j *journal) check(t *testing.T, c *child, from int) {
	t.Helper()
	const batch = 500 // reads of one Bundle
	for ; from < len(j.writes); from += batch {
		part := j.writes[from:min(from+batch, len(j.writes))]
		var b strings.Builder
		for _, w := range part {
			b.WriteString(`,{"request":{"method":"GET","url":"` + w.ref + `"}}`)
		}
		status, root, err := c.send("POST", "/fhir", j.token, "check", `{"resourceType":"Bundle","type":"batch","entry":[`+b.String()[1:]+`]}`)
		if err != nil || status != 200 {
			t.Fatal(status, err)
		}
		i := 0
		for e := range root.Get("entry").Items() {
			got := e.Get("resource").Get("identifier").Item(0).Get("value").Text()
			if got != part[i].mark {
				t.Errorf("%s was acknowledged and is %s", part[i].ref, e.Raw())
			}
			i++
		}
	}
	for id, acknowledged := range j.sent {
		_, root, err := c.send("GET", "/fhir/Observation?_summary=count&identifier=tx|"+id, j.token, "check", "")
		if err != nil {
			t.Fatal(err)
		}
		total := root.Get("total").Text()
		if whole := total == fmt.Sprint(txSize); !whole && (acknowledged || total != "0") {
			t.Errorf("a transaction has %q of %d entries; acknowledged: %t", total, txSize, acknowledged)
		}
	}
}

// audited checks that the log is whole and that every acknowledged write is on
// record, with the version it made.
func (j *journal) audited(t *testing.T, dir string) {
	t.Helper()
	if err := command().Run(t.Context(), []string{"galen", "audit", "verify", "--data", dir}); err != nil {
		t.Errorf("audit verify: %v", err)
	}
	log, err := audit.Open(compliance.LogDir(dir), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	recorded := map[[2]string]bool{}
	for e, err := range log.Read(1) {
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range e.Resources {
			recorded[[2]string{e.Request, r}] = true
		}
	}
	missing := 0
	for _, w := range j.writes {
		if !recorded[[2]string{w.request, w.ref}] {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d acknowledged writes have no audit record", missing, len(j.writes))
	}
}

// kill -9 at any moment: what was acknowledged is there, no transaction is half
// there (https://hl7.org/fhir/R4/http.html#transaction), the audit log is whole
// and knows every acknowledged write. SIGTERM then lets it end in order.
func TestKilledServerLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short")
	}
	dir := t.TempDir()
	issuer, err := auth.OpenIssuer(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{sent: map[string]bool{}}
	if j.token, err = issuer.Mint(auth.Claims{Subject: "crash", Roles: []string{"admin"}, TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	const rounds, clients = 5, 6
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds {
		c := serveChild(t, dir)
		before := len(j.writes)
		j.acked = make(chan struct{}, 1)
		var running sync.WaitGroup
		for i := range clients {
			name := fmt.Sprintf("c%d-r%d", i, round)
			own := rand.New(rand.NewPCG(seed, uint64(round*clients+i+1)))
			running.Go(func() { j.client(c, name, own) })
		}
		select {
		case <-j.acked:
		case <-time.After(20 * time.Second):
			t.Error("no transaction was acknowledged")
		}
		<-time.After(time.Duration(random.IntN(500)) * time.Millisecond) // any moment
		if err := c.end(t, syscall.SIGKILL); err == nil {
			t.Error("a killed process ended well")
		}
		running.Wait()
		again := serveChild(t, dir)
		j.check(t, again, before)
		if err := again.end(t, syscall.SIGTERM); err != nil {
			t.Errorf("SIGTERM: %v", err)
		}
		j.audited(t, dir)
	}
	if len(j.odd) > 0 {
		t.Errorf("%d odd answers, such as %s", len(j.odd), j.odd[0])
	}
	acknowledged := 0
	for _, yes := range j.sent {
		if yes {
			acknowledged++
		}
	}
	t.Logf("%d writes and %d of %d transactions acknowledged", len(j.writes), acknowledged, len(j.sent))
	if acknowledged == 0 {
		t.Error("no transaction was acknowledged: the test shows nothing")
	}
}

// SIGTERM lets running requests finish and ends with status 0.
func TestTermDrains(t *testing.T) {
	dir := t.TempDir()
	issuer, err := auth.OpenIssuer(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	token, err := issuer.Mint(auth.Claims{Subject: "crash", Roles: []string{"admin"}, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	c := serveChild(t, dir)
	body, out := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "POST", c.url+"/fhir/Patient", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Header.Set("Expect", "100-continue") // the answer to it tells that the request has arrived
	c.client.Transport.(*http.Transport).ExpectContinueTimeout = 20 * time.Second
	answered := make(chan error, 1)
	go func() {
		res, err := c.client.Do(req)
		if err == nil && res.StatusCode != 201 {
			err = fmt.Errorf("status %d", res.StatusCode)
		}
		answered <- err
	}()
	if _, err := io.WriteString(out, `{"resourceType":"Patient"`); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for refused := false; !refused; { // the listener closes first
		_, _, err := c.send("GET", "/readyz", token, "drain", "")
		refused = err != nil
	}
	if _, err := io.WriteString(out, "}"); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("the request that was running when SIGTERM came: %v", err)
	}
	<-c.logged
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("exit: %v", err)
	}
}
