package parcel_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io/fs"
	"mime/multipart"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"galen/models/parcel"
)

type file struct{ name, text string }

func tarOf(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.text)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(f.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if to, ok := strings.CutPrefix(f.text, "-> "); ok {
			h.Typeflag, h.Linkname, h.Size, f.text = tar.TypeSymlink, to, 0, ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		to, err := w.Create(f.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func formOf(t testing.TB, files ...file) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range files {
		to, err := w.CreateFormFile("file", f.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.FormDataContentType()
}

func unpack(t testing.TB, body []byte, contentType string) (map[string]string, error) {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	err = parcel.Unpack(bytes.NewReader(body), contentType, root, parcel.Limits{Bytes: 1000, Files: 4})
	out := map[string]string{}
	entries, readErr := fs.ReadDir(root.FS(), ".")
	if readErr != nil {
		t.Fatal(readErr)
	}
	for _, e := range entries {
		text, readErr := fs.ReadFile(root.FS(), e.Name())
		if readErr != nil {
			t.Fatal(readErr)
		}
		out[e.Name()] = string(text)
	}
	return out, err
}

func TestUnpack(t *testing.T) {
	files := []file{{"manifest.yaml", "a"}, {"model.onnx", "b"}}
	inFolder := []file{{"m/", ""}, {"m/1.0.0/", ""}, {"m/1.0.0/manifest.yaml", "a"}, {"m/1.0.0/model.onnx", "b"}}
	form, formType := formOf(t, files...)
	for _, c := range []struct {
		name, kind string
		body       []byte
	}{
		{"tar", "application/x-tar", tarOf(t, files...)},
		{"tar of a folder", "application/x-tar", tarOf(t, inFolder...)},
		{"gzip", "application/gzip; charset=binary", zipped(t, tarOf(t, files...))},
		{"zip", "application/zip", zipOf(t, files...)},
		{"form", formType, form},
	} {
		got, err := unpack(t, c.body, c.kind)
		if diff := cmp.Diff(map[string]string{"manifest.yaml": "a", "model.onnx": "b"}, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", c.name, err, diff)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	bomb := zipped(t, tarOf(t, file{"a", strings.Repeat("0", 1_000_000)}))
	big := strings.Repeat("x", 999)
	form, formType := formOf(t, file{"", "x"})
	for _, c := range []struct {
		name, kind string
		body       []byte
		want       error
	}{
		{"other type", "text/plain", []byte("x"), parcel.ErrType},
		{"no type", "", nil, parcel.ErrType},
		{"no tar", "application/x-tar", []byte(strings.Repeat("x", 600)), parcel.ErrArchive},
		{"no gzip", "application/gzip", []byte("x"), parcel.ErrArchive},
		{"cut gzip", "application/gzip", zipped(t, tarOf(t, file{"a", big}))[:40], parcel.ErrArchive},
		{"no zip", "application/zip", []byte("x"), parcel.ErrArchive},
		{"no form", "multipart/form-data; boundary=x", []byte("x"), parcel.ErrArchive},
		{"two folders", "application/x-tar", tarOf(t, file{"a/x", "1"}, file{"b/y", "2"}), parcel.ErrName},
		{"upwards", "application/x-tar", tarOf(t, file{"a", "1"}, file{"../../b/c", "2"}), parcel.ErrName},
		{"hidden", "application/x-tar", tarOf(t, file{".profile", "1"}), parcel.ErrName},
		{"link", "application/x-tar", tarOf(t, file{"a", "-> /etc/passwd"}), parcel.ErrName},
		{"twice", "application/x-tar", tarOf(t, file{"a", "1"}, file{"a", "2"}), parcel.ErrName},
		{"twice in a zip", "application/zip", zipOf(t, file{"a", "1"}, file{"a", "2"}), parcel.ErrName},
		{"no name", formType, form, parcel.ErrName},
		{"too many", "application/x-tar", tarOf(t, file{"a", ""}, file{"b", ""}, file{"c", ""}, file{"d", ""}, file{"e", ""}), parcel.ErrMany},
		{"too large", "application/x-tar", tarOf(t, file{"a", big}, file{"b", "22"}), parcel.ErrLarge},
		{"bomb", "application/gzip", bomb, parcel.ErrLarge},
		{"zip bomb", "application/zip", zipOf(t, file{"a", strings.Repeat("0", 100_000)}), parcel.ErrLarge},
	} {
		if got, err := unpack(t, c.body, c.kind); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
}

func TestTrust(t *testing.T) {
	folder := fstest.MapFS{"manifest.yaml": {Data: []byte("a")}, "CARD.md": {Data: []byte("b")}}
	sums, err := parcel.Sums(folder)
	if err != nil || string(sums) != "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d  CARD.md\n"+
		"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  manifest.yaml\n" {
		t.Fatalf("Sums = %s, %v", sums, err)
	}
	public, private, err := ed25519.GenerateKey(strings.NewReader(strings.Repeat("k", 64)))
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(strings.NewReader(strings.Repeat("o", 64)))
	if err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString
	signature := text(ed25519.Sign(private, sums))
	for _, c := range []struct {
		name, list, signature string
		trusted               bool
	}{
		{"nothing", "", signature, false},
		{"digest", "# ours\n\nsha256 " + parcel.Digest(sums) + " kidney model\n", "", true},
		{"other digest", "sha256 " + strings.Repeat("0", 64), "", false},
		{"key", "ed25519 " + text(other) + "\ned25519 " + text(public) + " owner", signature, true},
		{"other key", "ed25519 " + text(other), signature, false},
		{"no signature", "ed25519 " + text(public), "", false},
		{"broken signature", "ed25519 " + text(public), signature[4:], false},
	} {
		trust, err := parcel.ParseTrust(c.list)
		if err != nil {
			t.Fatal(err)
		}
		if got := trust.Check(sums, c.signature); (got == nil) != c.trusted {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	for _, bad := range []string{"sha256", "sha256 xyz", "md5 00", "ed25519 AAAA"} {
		if _, err := parcel.ParseTrust(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// The digest is what an administrator computes with coreutils.
func TestDigestIsSha256sum(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"model.onnx": "x", "CARD.md": "y", "golden.json": "z"} {
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "LC_ALL=C; sha256sum * | sha256sum")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Skip("skipped: no sha256sum here")
	}
	sums, err := parcel.Sums(os.DirFS(dir))
	if err != nil || !strings.HasPrefix(string(out), parcel.Digest(sums)) {
		t.Errorf("Digest = %s, %v; sha256sum says %s", parcel.Digest(sums), err, out)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(tarOf(f, file{"a/b", "1"}), "application/x-tar")
	f.Add(zipped(f, tarOf(f, file{"a", "1"})), "application/gzip")
	f.Add(zipOf(f, file{"a", "1"}), "application/zip")
	body, kind := formOf(f, file{"a", "1"})
	f.Add(body, kind)
	f.Fuzz(func(t *testing.T, body []byte, kind string) {
		got, _ := unpack(t, body, kind)
		size := 0
		for _, text := range got {
			size += len(text)
		}
		if size > 1001 || len(got) > 4 {
			t.Errorf("%d files of %d bytes", len(got), size)
		}
	})
}
