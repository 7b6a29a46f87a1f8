package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"galen/fhir"
)

// Issuer mints tokens on this machine with a key that lives in the data
// directory: who can read that file can be anyone.
type Issuer struct {
	key jwk.Key
	now func() time.Time
}

// Claims is what a minted token says.
type Claims struct {
	Subject  string
	Roles    []string
	Scope    string // SMART scopes, "" for none: the roles alone decide
	Patient  string // logical id, for patient/ scopes and the patient role
	Org      string
	Purpose  string // v3-ActReason code
	Client   string
	FHIRUser string // "Practitioner/1"
	TTL      time.Duration
}

// keyFile is where the local issuer's key lies in the data directory.
const keyFile = "issuer.jwk"

// OpenIssuer loads the key in dir, making it (mode 0600) the first time.
func OpenIssuer(dir string, now func() time.Time) (*Issuer, error) {
	const op = "auth.OpenIssuer"
	path := filepath.Join(dir, keyFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = makeKey(dir, path)
	}
	if err != nil {
		return nil, &fhir.Error{Op: op, Err: err}
	}
	key, err := jwk.ParseKey(raw)
	if err != nil {
		return nil, fhir.E(op, fhir.Internal, path, "the issuer's key cannot be read")
	}
	return &Issuer{key, now}, nil
}

// makeKey writes a new key; if another process was first, its key counts.
func makeKey(dir, path string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := jwk.Import(private)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]any{
		jwk.KeyIDKey: uuid.NewString(), jwk.AlgorithmKey: jwa.ES256(), jwk.KeyUsageKey: jwk.ForSignature,
	} {
		if err := key.Set(name, value); err != nil {
			return nil, err
		}
	}
	raw, err := json.Marshal(key)
	if err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(dir, keyFile) // mode 0600
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(raw)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}

// Mint signs a token.
func (i *Issuer) Mint(c Claims) (string, error) {
	const op = "auth.Mint"
	if c.Subject == "" || c.TTL <= 0 {
		return "", fhir.E(op, fhir.Required, "sub, ttl", "a token needs a subject and a lifetime")
	}
	now := i.now()
	t, err := jwt.NewBuilder().Issuer(LocalIssuer).Audience([]string{Audience}).Subject(c.Subject).
		IssuedAt(now).Expiration(now.Add(c.TTL)).JwtID(uuid.NewString()).Build()
	if err != nil {
		return "", &fhir.Error{Op: op, Err: err}
	}
	for name, value := range map[string]string{
		claimScope: c.Scope, claimPatient: c.Patient, claimOrg: c.Org,
		claimPurpose: c.Purpose, claimClient: c.Client, claimFHIRUser: c.FHIRUser,
	} {
		if value != "" {
			err = errors.Join(err, t.Set(name, value))
		}
	}
	if len(c.Roles) > 0 {
		err = errors.Join(err, t.Set(claimRoles, c.Roles))
	}
	header := jws.NewHeaders()
	err = errors.Join(err, header.Set(jws.TypeKey, tokenType))
	if err != nil {
		return "", &fhir.Error{Op: op, Err: err}
	}
	signed, err := jwt.Sign(t, jwt.WithKey(jwa.ES256(), i.key, jws.WithProtectedHeaders(header)))
	if err != nil {
		return "", &fhir.Error{Op: op, Err: err}
	}
	return string(signed), nil
}
