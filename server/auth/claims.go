package auth

import (
	"errors"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v3/jwt"

	"galen/fhir"
	"galen/policies"
)

// Claims that are not registered in RFC 7519, by their name in a token of the
// local issuer.
const (
	claimScope    = "scope"
	claimRoles    = "roles"
	claimPatient  = "patient"
	claimOrg      = "org"
	claimPurpose  = "purpose_of_use"
	claimClient   = "client_id"
	claimFHIRUser = "fhirUser"
	claimMethods  = "amr" // RFC 8176
	claimConfirm  = "cnf" // RFC 7800
)

// ClaimNames says where a provider's tokens hold what has no fixed name, and
// what its roles are called here.
type ClaimNames struct {
	Roles string            // "realm_access.roles": dots lead into objects; "" means "roles"
	Org   string            // "" means "org"
	Map   map[string]string // the provider's name of a role → ours; nil: the names are ours
	// Base is this server's FHIR base: a fhirUser below it is a resource of ours.
	Base string
}

// rolesClaim is where the roles are.
func (n *ClaimNames) rolesClaim() string {
	if n.Roles == "" {
		return claimRoles
	}
	return n.Roles
}

func (n *ClaimNames) orgClaim() string {
	if n.Org == "" {
		return claimOrg
	}
	return n.Org
}

// claimSet is the claims of a token or of the answer of an introspection.
type claimSet map[string]any

// claimsOf takes the claims out of a token.
func claimsOf(t jwt.Token) (claimSet, error) {
	claims := claimSet{}
	for _, name := range t.Keys() {
		var value any
		if err := t.Get(name, &value); err != nil {
			return nil, err
		}
		claims[name] = value
	}
	return claims, nil
}

// text reads a claim that is a string; a claim of another type is an error, as
// one that cannot be read must not count as absent.
func (c claimSet) text(path string) (string, error) {
	switch value := c.at(path).(type) {
	case nil:
		return "", nil
	case string:
		return value, nil
	}
	return "", errToken
}

// texts reads a claim that is an array of strings, or one string.
func (c claimSet) texts(path string) ([]string, error) {
	switch value := c.at(path).(type) {
	case nil:
		return nil, nil
	case string:
		return []string{value}, nil
	case []string:
		return value, nil
	case []any:
		list := make([]string, len(value))
		for i, item := range value {
			text, ok := item.(string)
			if !ok {
				return nil, errToken
			}
			list[i] = text
		}
		return list, nil
	}
	return nil, errToken
}

// at finds a claim by its name, or by a path of names joined by dots.
func (c claimSet) at(path string) any {
	if value, ok := c[path]; ok {
		return value
	}
	name, rest, nested := strings.Cut(path, ".")
	inner, ok := c[name].(map[string]any)
	if !nested || !ok {
		return nil
	}
	return claimSet(inner).at(rest)
}

// principal reads the claims of a verified token.
func (p *Provider) principal(t jwt.Token) (policies.Principal, error) {
	claims, err := claimsOf(t)
	if err != nil {
		return policies.Principal{}, err
	}
	return p.read(claims)
}

func (p *Provider) read(c claimSet) (policies.Principal, error) {
	var out policies.Principal
	var err error
	read := func(into *string, names ...string) {
		for _, name := range names {
			text, failed := c.text(name)
			err = errors.Join(err, failed)
			if *into == "" {
				*into = text
			}
		}
	}
	read(&out.Subject, "sub")
	read(&out.TokenID, "jti")
	read(&out.Client, claimClient, "azp")
	read(&out.Patient, claimPatient)
	read(&out.Org, p.claims.orgClaim())
	read(&out.FHIRUser, claimFHIRUser)
	read(&out.Certificate, claimConfirm+".x5t#S256") // RFC 8705, section 3.1
	var failed [3]error
	out.Roles, failed[0] = c.texts(p.claims.rolesClaim())
	out.Purposes, failed[1] = c.texts(claimPurpose)
	methods, failed2 := c.texts(claimMethods)
	failed[2] = failed2
	if err = errors.Join(err, failed[0], failed[1], failed[2]); err != nil {
		return out, err
	}
	out.MFA = slices.Contains(methods, "mfa")
	if len(out.Purposes) > 0 {
		out.Purpose = out.Purposes[0]
	}
	if p.claims.Base != "" {
		out.FHIRUser = strings.TrimPrefix(out.FHIRUser, p.claims.Base)
	}
	if out.Patient != "" && !fhir.ValidID(out.Patient) {
		return out, errToken
	}
	out.Roles = p.roles(out.Roles)
	return out, c.scopes(&out)
}

// roles gives the provider's roles our names; one that the map lacks is dropped.
func (p *Provider) roles(theirs []string) []string {
	if p.claims.Map == nil {
		return theirs
	}
	var ours []string
	for _, name := range theirs {
		if role := p.claims.Map[name]; role != "" {
			ours = append(ours, role)
		}
	}
	return ours
}

// scopes reads scope (RFC 9068) or scp, which some providers write as an array.
func (c claimSet) scopes(p *policies.Principal) error {
	for _, name := range []string{claimScope, "scp"} {
		list, err := c.texts(name)
		if err != nil {
			return err
		}
		if list == nil {
			if _, there := c[name]; !there {
				continue
			}
		}
		p.Scopes, _ = policies.ParseScopes(strings.Join(list, " "))
		if p.Scopes == nil {
			p.Scopes = []policies.Scope{} // a scope that grants nothing is not the absence of scopes
		}
		return nil
	}
	return nil
}
