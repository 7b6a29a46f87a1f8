// Package atrest encrypts what lies on disk with one key that is kept elsewhere:
// it reads the key from a file, derives another from it for each use, and seals
// small texts (AES-256-GCM).
//
// The database's own files are encrypted by store/sqlite with a derived key.
// Nothing here hides sizes, times or how many texts there are, and who holds the
// key file reads everything.
package atrest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"galen/fhir"
)

// secretSize is the length of the secret in the file, in bytes.
const secretSize = 32

// Key is the secret of a key file. A nil Key encrypts nothing. It never shows its
// secret when it is printed.
type Key struct{ secret []byte }

// String hides the secret.
func (k *Key) String() string { return "atrest.Key" }

// GoString is String.
func (k *Key) GoString() string { return k.String() }

// Read reads a key file: 64 hexadecimal digits, as `openssl rand -hex 32` writes
// them, readable by its owner only. "" is no file and a nil Key. The error is of
// Kind Invalid and does not hold what the file says.
func Read(path string) (*Key, error) {
	const op = "atrest.Read"
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, &fhir.Error{Op: op, Kind: fhir.Invalid, Err: err}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fhir.E(op, fhir.Invalid, path, "others may read the key file; chmod 600 it")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &fhir.Error{Op: op, Kind: fhir.Invalid, Err: err}
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != secretSize {
		return nil, fhir.E(op, fhir.Invalid, path, fmt.Sprintf("the key file must hold %d hexadecimal digits", 2*secretSize))
	}
	return &Key{secret}, nil
}

// Derive is a key of so many bytes for one use (HKDF-SHA256, RFC 5869); nil for a
// nil Key. Different uses have keys that tell nothing of each other.
func (k *Key) Derive(use string, size int) []byte {
	if k == nil {
		return nil
	}
	key, err := hkdf.Key(sha256.New, k.secret, nil, "galen/"+use, size)
	if err != nil {
		return nil // only for sizes over 8160
	}
	return key
}

// Sealer seals texts for one use. A nil Sealer leaves them as they are.
type Sealer struct {
	gcm    cipher.AEAD
	random io.Reader
}

// Sealer makes the Sealer of one use; nil for a nil Key.
func (k *Key) Sealer(use string, random io.Reader) (*Sealer, error) {
	if k == nil {
		return nil, nil
	}
	block, err := aes.NewCipher(k.Derive(use, 32))
	if err != nil {
		return nil, &fhir.Error{Op: "atrest.Sealer", Err: err}
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, &fhir.Error{Op: "atrest.Sealer", Err: err}
	}
	return &Sealer{gcm, random}, nil
}

// Seal encrypts a text under a nonce of its own.
func (s *Sealer) Seal(text []byte) ([]byte, error) {
	if s == nil {
		return text, nil
	}
	nonce := make([]byte, s.gcm.NonceSize(), s.gcm.NonceSize()+len(text)+s.gcm.Overhead())
	if _, err := io.ReadFull(s.random, nonce); err != nil {
		return nil, &fhir.Error{Op: "atrest.Seal", Err: err}
	}
	return s.gcm.Seal(nonce, nonce, text, nil), nil
}

// Open is the text that was sealed; ok is false for what this key did not seal.
func (s *Sealer) Open(sealed []byte) (text []byte, ok bool) {
	if s == nil {
		return sealed, true
	}
	n := s.gcm.NonceSize()
	if len(sealed) < n {
		return nil, false
	}
	text, err := s.gcm.Open(nil, sealed[:n], sealed[n:], nil)
	return text, err == nil
}
