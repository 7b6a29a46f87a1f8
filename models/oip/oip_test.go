package oip_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"galen/models"
	"galen/models/manifest"
	"galen/models/oip"
)

// text writes a tensor as name:type[shape]=JSON data, for comparing.
func text(t *testing.T, list []oip.Named) []string {
	t.Helper()
	var out []string
	for _, n := range list {
		r := oip.Response{Outputs: []oip.Named{n}}
		body := r.Encode(&oip.Request{}).Body
		_, tensor, ok := bytes.Cut(body, []byte(`"outputs":[`))
		if !ok {
			t.Fatalf("no outputs in %s", body)
		}
		out = append(out, string(bytes.TrimSuffix(tensor, []byte("]}"))))
	}
	return out
}

// https://github.com/open-inference/open-inference-protocol, inference_rest.md,
// "Tensor Data": row-major, flat or nested.
func TestDecodeRequest(t *testing.T) {
	cases := []struct{ name, body, want string }{
		{"flat", `{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2.5,-3e2,4]}]}`, `{"name":"x","datatype":"FP32","shape":[2,2],"data":[1,2.5,-300,4]}`},
		{"nested", `{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP64","data":[[1,2],[3,4]]}]}`, `{"name":"x","datatype":"FP64","shape":[2,2],"data":[1,2,3,4]}`},
		{"data before its type", `{"inputs":[{"data":[[1],[2]],"name":"x","datatype":"INT64","shape":[2,1]}],"id":"7"}`, `{"name":"x","datatype":"INT64","shape":[2,1],"data":[1,2]}`},
		{"no number", `{"inputs":[{"name":"x","shape":[4],"datatype":"FP64","data":[null,NaN,Infinity,-Infinity]}]}`, `{"name":"x","datatype":"FP64","shape":[4],"data":[null,null,null,null]}`},
		{"exact integers", `{"inputs":[{"name":"x","shape":[2],"datatype":"INT64","data":[-9223372036854775808,9223372036854775807]}]}`, `{"name":"x","datatype":"INT64","shape":[2],"data":[-9223372036854775808,9223372036854775807]}`},
		{"largest", `{"inputs":[{"name":"x","shape":[1],"datatype":"UINT64","data":[18446744073709551615]}]}`, `{"name":"x","datatype":"UINT64","shape":[1],"data":[18446744073709551615]}`},
		{"small integers", `{"inputs":[{"name":"x","shape":[2],"datatype":"INT8","data":[-128,127]}]}`, `{"name":"x","datatype":"INT8","shape":[2],"data":[-128,127]}`},
		{"booleans", `{"inputs":[{"name":"x","shape":[2],"datatype":"BOOL","data":[true,false]}]}`, `{"name":"x","datatype":"BOOL","shape":[2],"data":[true,false]}`},
		{"texts", `{"inputs":[{"name":"x","shape":[2],"datatype":"BYTES","data":["a\u00e9\n","\ud83d\ude00"]}]}`, `{"name":"x","datatype":"BYTES","shape":[2],"data":["aé\n","😀"]}`},
		{"half", `{"inputs":[{"name":"x","shape":[1],"datatype":"FP16","data":[0.1]}]}`, `{"name":"x","datatype":"FP16","shape":[1],"data":[0.099975586]}`},
		{"empty", `{"inputs":[{"name":"x","shape":[0,2],"datatype":"FP32","data":[]}]}`, `{"name":"x","datatype":"FP32","shape":[0,2],"data":[]}`},
		{"unknown members", ` { "x" : [ { "a" : null } , true, -1e9 ] , "parameters":null, "inputs" : [ { "name":"x","shape":[1],"datatype":"UINT8","parameters":{"why":"not"},"data":[255] } ] } `, `{"name":"x","datatype":"UINT8","shape":[1],"data":[255]}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, err := oip.DecodeRequest([]byte(c.body), -1)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{c.want}, text(t, r.Inputs)); diff != "" {
				t.Errorf("inputs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	input := func(members string) string { return `{"inputs":[{` + members + `}]}` }
	cases := []struct{ name, body, reason string }{
		{"nothing", ``, "want {"},
		{"cut", `{"inputs":[{"name":"x"`, "want"},
		{"text after", `{"inputs":[]}x`, "after the end"},
		{"no name", input(`"shape":[1],"datatype":"FP32","data":[1]`), "no name"},
		{"no data", input(`"name":"x","shape":[1],"datatype":"FP32"`), "no data"},
		{"no shape", input(`"name":"x","datatype":"FP32","data":[1]`), "shape"},
		{"no datatype", input(`"name":"x","shape":[1],"data":[1]`), "datatype"},
		{"unknown datatype", input(`"name":"x","shape":[1],"datatype":"FP8","data":[1]`), "datatype"},
		{"too few", input(`"name":"x","shape":[3],"datatype":"FP32","data":[1,2]`), "shorter"},
		{"too many", input(`"name":"x","shape":[2],"datatype":"FP32","data":[1,2,3]`), "longer"},
		{"negative size", input(`"name":"x","shape":[-1],"datatype":"FP32","data":[1]`), "negative"},
		{"no dimension", input(`"name":"x","shape":[],"datatype":"FP32","data":[1]`), "empty"},
		{"shape that would fill the memory", input(`"name":"x","shape":[268435456],"datatype":"FP64","data":[1]`), "shorter"},
		{"shape that overflows", input(`"name":"x","shape":[4294967296,4294967296,4294967296],"datatype":"FP32","data":[1]`), "too large"},
		{"out of range", input(`"name":"x","shape":[1],"datatype":"UINT8","data":[256]`), "range"},
		{"negative unsigned", input(`"name":"x","shape":[1],"datatype":"UINT8","data":[-1]`), "range"},
		{"int8 below", input(`"name":"x","shape":[1],"datatype":"INT8","data":[-129]`), "range"},
		{"int64 above", input(`"name":"x","shape":[1],"datatype":"INT64","data":[9223372036854775808]`), "whole"},
		{"fraction of an integer", input(`"name":"x","shape":[1],"datatype":"INT32","data":[1.5]`), "whole"},
		{"float out of range", input(`"name":"x","shape":[1],"datatype":"FP32","data":[1e39]`), "range"},
		{"leading zero", input(`"name":"x","shape":[1],"datatype":"FP32","data":[01]`), "number"},
		{"no digits", input(`"name":"x","shape":[1],"datatype":"FP32","data":[1.]`), "number"},
		{"word", input(`"name":"x","shape":[1],"datatype":"FP32","data":["1"]`), "number"},
		{"truth", input(`"name":"x","shape":[1],"datatype":"BOOL","data":[1]`), "true or false"},
		{"control character", "{\"id\":\"\x01\"}", "control"},
		{"no UTF-8", "{\"id\":\"\xff\"}", "UTF-8"},
		{"deep", `{"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, "deep"},
		{"deep data", input(`"name":"x","shape":[1],"datatype":"FP32","data":` + strings.Repeat("[", 1000)), "deep"},
		{"binary without", input(`"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}`), "binary_data_size"},
		{"shared memory", input(`"name":"x","shape":[1],"datatype":"FP32","parameters":{"shared_memory_region":"a"}`), "shared memory"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, err := oip.DecodeRequest([]byte(c.body), -1)
			if err == nil || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("DecodeRequest = %+v, %v; want %q", r, err, c.reason)
			}
		})
	}
	for _, header := range []int{-2, 3} {
		if _, err := oip.DecodeRequest([]byte("{}"), header); err == nil {
			t.Errorf("header length %d of 2 bytes was taken", header)
		}
	}
}

// https://github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md.
func TestBinaryRequest(t *testing.T) {
	head := `{"inputs":[{"name":"a","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}},` +
		`{"name":"b","shape":[1],"datatype":"INT8","data":[-1]},` +
		`{"name":"c","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":11}},` +
		`{"name":"d","shape":[1],"datatype":"FP16","parameters":{"binary_data_size":2}},` +
		`{"name":"e","shape":[2],"datatype":"BOOL","parameters":{"binary_data_size":2}}],` +
		`"outputs":[{"name":"y","parameters":{"binary_data":true}},{"name":"z"}]}`
	body := []byte(head)
	for _, x := range []float32{1.5, float32(math.Inf(1))} {
		body = binary.LittleEndian.AppendUint32(body, math.Float32bits(x))
	}
	for _, s := range []string{"abc", ""} {
		body = append(binary.LittleEndian.AppendUint32(body, uint32(len(s))), s...)
	}
	body = append(body, 0x00, 0x3c, 1, 0)
	r, err := oip.DecodeRequest(body, len(head))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"name":"a","datatype":"FP32","shape":[2],"data":[1.5,null]}`,
		`{"name":"b","datatype":"INT8","shape":[1],"data":[-1]}`,
		`{"name":"c","datatype":"BYTES","shape":[2],"data":["abc",""]}`,
		`{"name":"d","datatype":"FP16","shape":[1],"data":[1]}`,
		`{"name":"e","datatype":"BOOL","shape":[2],"data":[true,false]}`,
	}
	if diff := cmp.Diff(want, text(t, r.Inputs)); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	yes := true
	if diff := cmp.Diff([]oip.Output{{Name: "y", Binary: &yes}, {Name: "z"}}, r.Outputs); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	for name, spoilt := range map[string][]byte{
		"a byte more":   append(bytes.Clone(body), 0),
		"a byte less":   body[:len(body)-1],
		"text too long": bytes.Replace(bytes.Clone(body), []byte{3, 0, 0, 0, 'a'}, []byte{9, 0, 0, 0, 'a'}, 1),
	} {
		if _, err := oip.DecodeRequest(spoilt, len(head)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// What one side writes, the other reads back the same, in JSON and in binary.
func TestRoundTrip(t *testing.T) {
	var list []oip.Named
	for _, dtype := range manifest.DTypes() {
		tensor, err := models.MakeTensor(dtype, []int64{2, 3})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, oip.Named{Name: string(dtype), Tensor: tensor})
	}
	f, err := models.NewTensor([]int64{4}, []float64{math.Pi, math.MaxFloat64, 5e-324, -0.1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := models.NewTensor([]int64{3}, []string{"\"\\/\b\x00\u2028", "é", "</script>"})
	if err != nil {
		t.Fatal(err)
	}
	list = append(list, oip.Named{Name: "floats", Tensor: f}, oip.Named{Name: "texts", Tensor: s})
	for _, wire := range []bool{false, true} {
		req := &oip.Request{ID: "1\"", Inputs: list, Outputs: []oip.Output{{Name: "y"}}, Binary: wire}
		e := req.Encode()
		back, err := oip.DecodeRequest(e.Body, e.Header)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(text(t, list), text(t, back.Inputs)); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
		if back.ID != req.ID || back.Binary != wire || back.Names()[0] != "y" || (e.Header >= 0) != wire {
			t.Errorf("request = %+v", back)
		}
		res := &oip.Response{Model: "m", Version: "1.0.0", ID: "7", Outputs: list, Refused: []int{1, 3}}
		e = res.Encode(req)
		answer, err := oip.DecodeResponse(e.Body, e.Header)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(res, answer, cmpopts.IgnoreFields(oip.Response{}, "Outputs", "Refused")); diff != "" {
			t.Errorf("response (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(text(t, list), text(t, answer.Outputs)); diff != "" {
			t.Errorf("outputs (-want +got):\n%s", diff)
		}
		if head := e.Body[:max(e.Header, 0)]; wire && !json.Valid(head) || !wire && !json.Valid(e.Body) {
			t.Errorf("the response is no JSON: %s", e.Body)
		}
	}
}

func TestDatatypes(t *testing.T) {
	for _, dtype := range manifest.DTypes() {
		if back, ok := oip.DType(oip.Datatype(dtype)); !ok || back != dtype {
			t.Errorf("%s is %q and comes back as %q", dtype, oip.Datatype(dtype), back)
		}
	}
	if _, ok := oip.DType("FP8"); ok || oip.Datatype("complex64") != "" {
		t.Error("a type that is none")
	}
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(`{"id":"1","inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2],[3,4]]}],"outputs":[{"name":"y"}]}`), -1)
	f.Add([]byte(`{"inputs":[{"name":"x","shape":[1],"datatype":"INT64","parameters":{"binary_data_size":8}}]}12345678`), 88)
	f.Add([]byte(`{"inputs":[{"data":["a\n"],"name":"x","shape":[1],"datatype":"BYTES"}]}`), -1)
	f.Fuzz(func(t *testing.T, body []byte, header int) {
		r, err := oip.DecodeRequest(body, header)
		if err != nil {
			return
		}
		again := (&oip.Request{ID: r.ID, Inputs: r.Inputs, Binary: true}).Encode()
		back, err := oip.DecodeRequest(again.Body, again.Header)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if diff := cmp.Diff(text(t, r.Inputs), text(t, back.Inputs)); diff != "" {
			t.Error(diff)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"id":"1","inputs":[{"name":"features","shape":[1,30],"datatype":"FP64","data":[` + strings.Repeat("0.123456,", 29) + `1]}]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := oip.DecodeRequest(body, -1); err != nil {
			b.Fatal(err)
		}
	}
}
