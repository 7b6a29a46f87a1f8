package parcel

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// Sums lists a folder's files as `sha256sum *` prints them in the C locale: what
// is signed, and what the folder's digest is made of. It covers every byte, where
// the manifest pins the model file only.
func Sums(folder fs.FS) ([]byte, error) {
	entries, err := fs.ReadDir(folder, ".") // by name
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, e := range entries {
		f, err := folder.Open(e.Name())
		if err != nil {
			return nil, err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "%x  %s\n", h.Sum(nil), e.Name())
	}
	return out.Bytes(), nil
}

// Digest is a folder's digest, lower-case hex: `sha256sum * | sha256sum`.
func Digest(sums []byte) string {
	sum := sha256.Sum256(sums)
	return hex.EncodeToString(sum[:])
}

// Trust is what folders may be taken in. The zero Trust takes none.
type Trust struct {
	digests map[string]bool
	keys    []ed25519.PublicKey
}

// ErrUntrusted is why a folder is not taken in.
var ErrUntrusted = errors.New("the folder's digest is on no list, and no trusted key signed it")

// ParseTrust reads a list: a line is "sha256 HEX", the Digest of a folder, or
// "ed25519 BASE64", a public key; what follows after a space is for people, and
// so are lines that start with #.
func ParseTrust(text string) (Trust, error) {
	t := Trust{digests: map[string]bool{}}
	n := 0
	for line := range strings.Lines(text) {
		n++
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if len(f) < 2 || !t.add(f[0], f[1]) {
			return Trust{}, fmt.Errorf("line %d: want sha256 HEX or ed25519 BASE64", n)
		}
	}
	return t, nil
}

func (t *Trust) add(kind, value string) bool {
	switch kind {
	case "sha256":
		b, err := hex.DecodeString(value)
		t.digests[strings.ToLower(value)] = true
		return err == nil && len(b) == sha256.Size
	case "ed25519":
		b, err := base64.StdEncoding.DecodeString(value)
		t.keys = append(t.keys, ed25519.PublicKey(b))
		return err == nil && len(b) == ed25519.PublicKeySize
	}
	return false
}

// Check says whether a folder with these Sums is trusted; signature is the
// Ed25519 signature of the Sums in base64, "" for none. The error is ErrUntrusted.
func (t Trust) Check(sums []byte, signature string) error {
	if t.digests[Digest(sums)] {
		return nil
	}
	sig, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || len(sig) != ed25519.SignatureSize {
		return ErrUntrusted
	}
	for _, key := range t.keys {
		if ed25519.Verify(key, sums, sig) {
			return nil
		}
	}
	return ErrUntrusted
}
