package dicomweb_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"galen/cds/imaging/dicomweb"
	"galen/cds/imaging/pixel"
)

const plugin = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"

// orthanc starts the archive of Debian's packages orthanc and orthanc-dicomweb.
func orthanc(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("Orthanc")
	if _, missing := os.Stat(plugin); err != nil || missing != nil {
		t.Skip("skipped: Orthanc with its DICOMweb plug-in is not installed")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "orthanc.json")
	text := fmt.Sprintf(`{"Name":"test","StorageDirectory":%q,"IndexDirectory":%q,"HttpPort":%s,"DicomServerEnabled":false,"RemoteAccessAllowed":false,"AuthenticationEnabled":false,"Plugins":[%q],"DicomWeb":{"Enable":true,"Root":"/dicom-web/"}}`, dir, dir, port, plugin)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	base := "http://127.0.0.1:" + port + "/dicom-web"
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if res, err := http.Get(base + "/studies"); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return base
			}
		}
		time.Sleep(50 * time.Millisecond) // until it listens
	}
	t.Fatal("Orthanc does not start")
	return ""
}

// file is a DICOM file (PS3.10) of a grey image, explicit little endian.
func file(instance string, rows, columns, bits uint16, photometric string, pixels []byte) []byte {
	var body bytes.Buffer
	short := func(group, element uint16, vr string, value []byte) {
		if len(value)%2 == 1 {
			pad := byte(' ')
			if vr == "UI" {
				pad = 0
			}
			value = append(value, pad)
		}
		_ = binary.Write(&body, binary.LittleEndian, [2]uint16{group, element})
		body.WriteString(vr)
		if vr == "OB" || vr == "OW" {
			_ = binary.Write(&body, binary.LittleEndian, uint16(0))
			_ = binary.Write(&body, binary.LittleEndian, uint32(len(value)))
		} else {
			_ = binary.Write(&body, binary.LittleEndian, uint16(len(value)))
		}
		body.Write(value)
	}
	text := func(group, element uint16, vr, value string) { short(group, element, vr, []byte(value)) }
	number := func(group, element, value uint16) {
		short(group, element, "US", binary.LittleEndian.AppendUint16(nil, value))
	}
	const class = "1.2.840.10008.5.1.4.1.1.7"
	text(2, 2, "UI", class)
	text(2, 3, "UI", instance)
	text(2, 0x10, "UI", pixel.ExplicitLittleEndian)
	text(2, 0x12, "UI", "1.2.3.99")
	meta := bytes.Clone(body.Bytes())
	body.Reset()
	short(2, 0, "UL", binary.LittleEndian.AppendUint32(nil, uint32(len(meta))))
	head := bytes.Clone(body.Bytes())
	body.Reset()
	text(8, 0x16, "UI", class)
	text(8, 0x18, "UI", instance)
	text(8, 0x60, "CS", "DX")
	text(0x10, 0x20, "LO", "p")
	text(0x18, 0x5101, "CS", "AP")
	text(0x20, 0xd, "UI", "1.2.3.1")
	text(0x20, 0xe, "UI", "1.2.3.2")
	number(0x28, 2, 1)
	text(0x28, 4, "CS", photometric)
	number(0x28, 0x10, rows)
	number(0x28, 0x11, columns)
	number(0x28, 0x100, bits)
	number(0x28, 0x101, bits)
	number(0x28, 0x102, bits-1)
	number(0x28, 0x103, 0)
	vr := "OW"
	if bits == 8 {
		vr = "OB"
	}
	short(0x7fe0, 0x10, vr, pixels)
	return bytes.Join([][]byte{make([]byte, 128), []byte("DICM"), head, meta, body.Bytes()}, nil)
}

// A real archive: what is stored as DICOM, plain or compressed, comes back as the
// same grey values.
func TestOrthanc(t *testing.T) {
	base := orthanc(t)
	pixels := make([]byte, 64*64)
	for i := range pixels {
		pixels[i] = byte(i / 64 * 4)
	}
	instances := map[string][]byte{"1.2.3.4": file("1.2.3.4", 64, 64, 8, "MONOCHROME2", pixels)}
	tolerance := map[string]float64{"1.2.3.4": 0}
	for n, tool := range []struct {
		name string
		near float64
	}{{"dcmcrle", 0}, {"dcmcjpeg", 0.02}} { // dcmcjpeg: lossless by default
		if _, err := exec.LookPath(tool.name); err != nil {
			continue
		}
		uid := fmt.Sprintf("1.2.3.%d", 5+n)
		dir := t.TempDir()
		in, out := filepath.Join(dir, "in.dcm"), filepath.Join(dir, "out.dcm")
		if err := os.WriteFile(in, file(uid, 64, 64, 8, "MONOCHROME2", pixels), 0o600); err != nil {
			t.Fatal(err)
		}
		if text, err := exec.Command(tool.name, in, out).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", tool.name, err, text)
		}
		compressed, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		instances[uid], tolerance[uid] = compressed, tool.near
	}
	for uid, body := range instances {
		res, err := http.Post(base[:len(base)-len("/dicom-web")]+"/instances", "application/dicom", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", uid, res.StatusCode, answer)
		}
	}
	c := dicomweb.New([]dicomweb.Server{{URL: base}})
	defer func() { _ = c.Close() }()
	list, err := c.Series(t.Context(), base, "1.2.3.1", "1.2.3.2")
	if err != nil || len(list) != len(instances) {
		t.Fatal(list, err)
	}
	for _, i := range list {
		if i.Modality != "DX" || i.View != "AP" || i.Format.Rows != 64 {
			t.Errorf("%+v", i)
		}
		frame, syntax, err := c.Frame(t.Context(), base, "1.2.3.1", "1.2.3.2", i.UID)
		if err != nil {
			t.Errorf("%s: %v", i.UID, err)
			continue
		}
		grey, err := pixel.Decode(i.Format, frame, syntax)
		if err != nil {
			t.Errorf("%s as %s: %v", i.UID, syntax, err)
			continue
		}
		for at, x := range grey {
			if d := x - float64(pixels[at])/255; d > tolerance[i.UID] || d < -tolerance[i.UID] {
				t.Errorf("%s as %s: pixel %d is %v, want %d/255", i.UID, syntax, at, x, pixels[at])
				break
			}
		}
	}
}
