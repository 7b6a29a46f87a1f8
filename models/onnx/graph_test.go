package onnx

import (
	"errors"
	"strings"
	"testing"
)

// What must not reach the runtime is refused by readGraph, wherever it hides.
func TestReadGraph(t *testing.T) {
	external := msg(tensorExternal, nil)
	deep := msg(graphNode, nil)
	for range maxGraphDepth + 1 {
		deep = msg(graphNode, msg(nodeAttribute, msg(attributeGraph, deep)))
	}
	cases := []struct {
		name string
		more []byte // in the top graph
		want string // in the error; empty is none
	}{
		{"plain", nil, ""},
		{"standard domain", msg(graphNode, msg(nodeDomain, []byte("ai.onnx.ml"))), ""},
		{"foreign domain", msg(graphNode, msg(nodeDomain, []byte("evil"))), "domain"},
		{"external data", msg(graphInitializer, external), errExternal.Error()},
		{"external location", msg(graphInitializer, []byte{tensorLocation << 3, 1}), errExternal.Error()},
		{"external data in an attribute", msg(graphNode, msg(nodeAttribute, msg(attributeTensor, external))), errExternal.Error()},
		{"external data in a list of tensors", msg(graphNode, msg(nodeAttribute, msg(attributeTensors, external))), errExternal.Error()},
		{"external data in a sub-graph", msg(graphNode, msg(nodeAttribute, msg(attributeGraph, msg(graphInitializer, external)))), errExternal.Error()},
		{"external data in a sparse tensor", msg(graphSparse, msg(1, external)), errExternal.Error()},
		{"foreign domain in a sub-graph", msg(graphNode, msg(nodeAttribute, msg(attributeGraphs, msg(graphNode, msg(nodeDomain, []byte("evil")))))), "domain"},
		{"graphs in graphs", deep, errDepth.Error()},
		{"an input that is no tensor", msg(graphInput, msg(valueName, []byte("y"))), "no tensor"},
		{"cut", []byte{graphNode<<3 | 2, 9, 0}, errProto.Error()},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g, err := readGraph(model(c.more))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("readGraph = %v, want %q", err, c.want)
			}
			if err == nil && (g.opset != 17 || len(g.inputs) != 1 || g.inputs[0].Name != "x" || g.inputs[0].symbols[0] != "N") {
				t.Errorf("graph = %+v", g)
			}
		})
	}
	t.Run("foreign operator set", func(t *testing.T) {
		if _, err := readGraph(append(model(nil), msg(modelOpset, msg(opsetDomain, []byte("evil")))...)); err == nil {
			t.Error("readGraph succeeded")
		}
	})
	t.Run("foreign domain in a function", func(t *testing.T) {
		if _, err := readGraph(append(model(nil), 0xca, 0x01, 8, functionNode<<3|2, 6, nodeDomain<<3|2, 4, 'e', 'v', 'i', 'l')); err == nil {
			t.Error("readGraph succeeded")
		}
	})
	t.Run("no graph", func(t *testing.T) {
		if _, err := readGraph(msg(modelOpset, []byte{opsetVersion << 3, 17})); !errors.Is(err, errProto) {
			t.Errorf("readGraph = %v, want %v", err, errProto)
		}
	})
}

// Messages of operators may quote elements of tensors; they must not get out.
func TestRunErrorTellsNoValue(t *testing.T) {
	err := runError(t.Context(), errors.New("Error running network: Non-zero status code returned while running Gather node. Name:'g' Status Message: indices element out of data bounds, idx=4711"))
	if err == nil || strings.Contains(err.Error(), "4711") || !strings.Contains(err.Error(), "Gather") {
		t.Errorf("runError = %v", err)
	}
}

// msg writes a length-delimited protobuf field.
func msg(number int, content []byte) []byte {
	out := varint(uint64(number)<<3 | 2)
	out = append(out, varint(uint64(len(content)))...)
	return append(out, content...)
}

func varint(v uint64) []byte {
	var out []byte
	for ; v >= 0x80; v >>= 7 {
		out = append(out, byte(v)|0x80)
	}
	return append(out, byte(v))
}

// model is a ModelProto of opset 17 with one double port x [N] and more in its graph.
func model(more []byte) []byte {
	tensor := append([]byte{tensorElem << 3, 11}, msg(tensorShape, msg(shapeDim, msg(dimParam, []byte("N"))))...)
	port := append(msg(valueName, []byte("x")), msg(valueType, msg(typeTensor, tensor))...)
	graph := append(append(msg(graphInput, port), msg(graphOutput, port)...), more...)
	return append(msg(modelOpset, []byte{opsetVersion << 3, 17}), msg(modelGraph, graph)...)
}
