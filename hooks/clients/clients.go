// Package clients is the registrations of CDS clients: who they are, with which
// keys they sign, which FHIR servers may be read for them, and from which web
// origins they call.
//
// The registrations are one JSON file, an array with an object for each client,
// read strictly: an unknown member or a URL that could mean two things is
// refused with its place. It is immutable once read.
//
// It verifies no signatures (server/auth/hookjwt) and fetches nothing.
package clients

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"galen/fhir"
	"galen/policies"
)

// Client is the registration of one CDS client
// (https://cds-hooks.hl7.org/2.0/#trusting-cds-clients).
type Client struct {
	// Issuer is the iss of its tokens.
	Issuer string `json:"iss"`
	// Tenants are the values that the tenant claim may have; without any the
	// claim is not asked for.
	Tenants []string `json:"tenants"`

	// Where its public keys are: one of the three. JKU are URLs of JWK Sets, the
	// only ones that are ever fetched.
	JWKS     json.RawMessage `json:"jwks"`
	JWKSFile string          `json:"jwks_file"`
	JKU      List            `json:"jku"`

	// Servers are the base URLs of the FHIR servers that may be read for it.
	// These may lie on private addresses.
	Servers []string `json:"fhir_servers"`
	// Origins are the web origins from which it may call (CORS), each exact:
	// "https://ehr.example".
	Origins []string `json:"origins"`

	// Purpose is the purpose of use of its calls, a v3-ActReason code.
	Purpose string `json:"purpose"`
	// Hooks are the hooks it may call; without any it may call all.
	Hooks []string `json:"hooks"`
	// Scopes limit it as the scopes of a token would; without any its role
	// decides alone.
	Scopes []string `json:"scopes"`

	Options Options `json:"options"`
}

// Options are what a client may be allowed beyond the common.
type Options struct {
	// AnyServer lets it name any FHIR server with https on a public address.
	AnyServer bool `json:"any_public_fhir_server"`
	// SharedIDs says that patients of its servers have the same ids here, so that
	// what its servers do not give may be read from the own store.
	SharedIDs bool `json:"shared_ids"`
	// Audiences are further base URLs of this server that its tokens may name,
	// for clients that were told another one.
	Audiences []string `json:"audiences"`
	// Lifetime is the longest exp − iat in seconds; 0 means 900, what Epic uses.
	Lifetime int `json:"max_lifetime"`
	// Ballot switches on the additions of the CDS Hooks 3.0 ballot in answers.
	Ballot bool `json:"cds_hooks_3"`
}

const defaultLifetime = 900 // seconds

// MaxLifetime is how long a token of the client may live.
func (c *Client) MaxLifetime() time.Duration {
	if c.Options.Lifetime > 0 {
		return time.Duration(c.Options.Lifetime) * time.Second
	}
	return defaultLifetime * time.Second
}

// Server finds a FHIR server that the client may name, by its base URL with a
// slash at its end. listed is false for one that only AnyServer permits.
func (c *Client) Server(base string) (listed, ok bool) {
	if c == nil {
		return false, false
	}
	if slices.Contains(c.Servers, base) {
		return true, true
	}
	return false, c.Options.AnyServer && strings.HasPrefix(base, "https://")
}

// Ballot reports whether the client knows the additions of CDS Hooks 3.0.
func (c *Client) Ballot() bool { return c != nil && c.Options.Ballot }

// MayCall reports whether the client may call services of a hook.
func (c *Client) MayCall(hook string) bool {
	return c == nil || len(c.Hooks) == 0 || slices.Contains(c.Hooks, hook)
}

// Role is the role of a registered client in the policies.
const Role = "ehr"

// Principal is the client as a caller; tenant and token are of its token's
// claims.
func (c *Client) Principal(tenant, token string) policies.Principal {
	p := policies.Principal{
		Subject: c.Issuer, Client: c.Issuer, Org: tenant, Roles: []string{Role}, Purpose: c.Purpose, TokenID: token,
	}
	if len(c.Scopes) > 0 {
		p.Scopes, _ = policies.ParseScopes(strings.Join(c.Scopes, " ")) // checked when it was read
	}
	return p
}

// List is a string or an array of strings in JSON.
type List []string

// UnmarshalJSON reads either form.
func (l *List) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var one string
		err := json.Unmarshal(b, &one)
		*l = List{one}
		return err
	}
	return json.Unmarshal(b, (*[]string)(l))
}

// Registry is all registered clients. A nil Registry has none.
type Registry struct {
	clients []*Client
	byIss   map[string]*Client
	origins map[string]bool
}

// Load reads a file of registrations; "" is an empty Registry. The error is of
// Kind Invalid and names the place in the file.
func Load(path string) (*Registry, error) {
	if path == "" {
		return Parse([]byte("[]"))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &fhir.Error{Op: "clients.Load", Kind: fhir.Invalid, Err: err}
	}
	return Parse(text)
}

// Parse reads registrations; the errors are those of Load.
func Parse(text []byte) (*Registry, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var list []*Client
	if err := decoder.Decode(&list); err != nil {
		return nil, &fhir.Error{Op: "clients.Parse", Kind: fhir.Invalid, At: "offset " + strconv.FormatInt(decoder.InputOffset(), 10), Err: err}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("", "something follows the array of clients")
	}
	r := &Registry{clients: list, byIss: map[string]*Client{}, origins: map[string]bool{}}
	for i, c := range list {
		at := "[" + strconv.Itoa(i) + "]"
		if c == nil {
			return nil, invalid(at, "a client is an object")
		}
		if err := c.check(at); err != nil {
			return nil, err
		}
		if r.byIss[c.Issuer] != nil {
			return nil, invalid(at+".iss", "two clients have the same iss")
		}
		r.byIss[c.Issuer] = c
		for _, o := range c.Origins {
			r.origins[o] = true
		}
	}
	return r, nil
}

// Find is the client with that iss, nil if there is none.
func (r *Registry) Find(issuer string) *Client {
	if r == nil {
		return nil
	}
	return r.byIss[issuer]
}

// All lists the clients; not to be changed.
func (r *Registry) All() []*Client {
	if r == nil {
		return nil
	}
	return r.clients
}

// Origin reports whether some client may call from a web origin.
func (r *Registry) Origin(origin string) bool { return r != nil && r.origins[origin] }

func invalid(at, message string) error {
	return fhir.E("clients.Parse", fhir.Invalid, at, message)
}

func (c *Client) check(at string) error {
	if c.Issuer == "" {
		return invalid(at+".iss", "a client needs its iss")
	}
	sources := 0
	for _, given := range []bool{len(c.JWKS) > 0, c.JWKSFile != "", len(c.JKU) > 0} {
		if given {
			sources++
		}
	}
	if sources != 1 {
		return invalid(at, "a client needs its keys in one of jwks, jwks_file and jku")
	}
	for _, u := range c.JKU {
		if !absolute(u) {
			return invalid(at+".jku", "jku must be an https URL, or http on this machine")
		}
	}
	for i, s := range c.Servers {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return invalid(at+".fhir_servers", "a FHIR server is an absolute http or https URL")
		}
		c.Servers[i] = strings.TrimRight(s, "/") + "/"
	}
	for _, o := range c.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || o != u.Scheme+"://"+u.Host || (u.Scheme != "https" && u.Scheme != "http") {
			return invalid(at+".origins", "an origin is scheme://host or scheme://host:port and nothing more")
		}
	}
	for i, a := range c.Options.Audiences {
		if !strings.HasPrefix(a, "http") {
			return invalid(at+".options.audiences", "an audience is a base URL of this server")
		}
		c.Options.Audiences[i] = strings.TrimRight(a, "/")
	}
	if _, ignored := policies.ParseScopes(strings.Join(c.Scopes, " ")); len(ignored) > 0 {
		return invalid(at+".scopes", "a scope is not known")
	}
	if c.Options.Lifetime < 0 || c.Options.Lifetime > 24*3600 {
		return invalid(at+".options.max_lifetime", "max_lifetime must be at most a day, in seconds")
	}
	return nil
}

// absolute reports whether a URL may hold keys: https, or http on this machine.
func absolute(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	local := u.Hostname() == "localhost" || (err == nil && ip.IsLoopback())
	return u.Scheme == "https" || (u.Scheme == "http" && local)
}
