package onnx

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"galen/models"
	"galen/models/manifest"
)

// graph is what is read from an ONNX file before ONNX Runtime sees it.
type graph struct {
	opset   int
	inputs  []port
	outputs []port
}

// port is a model's port; symbols name the dynamic dimensions ("" for a fixed or
// nameless one), which tells the shape of an output from the shapes of inputs.
type port struct {
	models.Port
	symbols []string
}

// Field numbers of onnx.proto3, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3.
const (
	modelGraph, modelOpset, modelFunctions = 7, 8, 25

	opsetDomain, opsetVersion = 1, 2

	graphNode, graphInitializer, graphInput, graphOutput, graphSparse = 1, 5, 11, 12, 15

	functionNode = 7

	nodeAttribute, nodeDomain = 5, 7

	attributeTensor, attributeGraph, attributeTensors, attributeGraphs = 5, 6, 10, 11
	attributeSparse, attributeSparses                                  = 22, 23

	tensorName, tensorExternal, tensorLocation = 8, 13, 14

	valueName, valueType = 1, 2
	typeTensor           = 1
	tensorElem           = 1
	tensorShape          = 2
	shapeDim             = 1
	dimValue, dimParam   = 1, 2
)

// maxGraphDepth bounds graphs within graphs (If, Loop, Scan).
const maxGraphDepth = 16

var (
	errProto    = errors.New("not an ONNX file, or cut short")
	errExternal = errors.New("the model keeps data outside its file")
	errDepth    = errors.New("graphs are nested too deeply")
)

// domains are the operator domains that may run: the standard ones.
var domains = []string{"", "ai.onnx", "ai.onnx.ml"}

// dtypes maps TensorProto.DataType.
var dtypes = map[uint64]manifest.DType{
	1: manifest.Float32, 2: manifest.Uint8, 3: manifest.Int8, 4: manifest.Uint16, 5: manifest.Int16, 6: manifest.Int32,
	7: manifest.Int64, 8: manifest.String, 9: manifest.Bool, 10: manifest.Float16, 11: manifest.Float64,
	12: manifest.Uint32, 13: manifest.Uint64,
}

// field is one field of a protobuf message.
type field struct {
	number protowire.Number
	bytes  []byte // of a length-delimited field
	value  uint64 // of a varint field
}

// each calls f for every field of a message.
func each(msg []byte, f func(field) error) error {
	for len(msg) > 0 {
		number, kind, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return errProto
		}
		msg = msg[n:]
		fd := field{number: number}
		switch kind {
		case protowire.BytesType:
			fd.bytes, n = protowire.ConsumeBytes(msg)
		case protowire.VarintType:
			fd.value, n = protowire.ConsumeVarint(msg)
		default:
			n = protowire.ConsumeFieldValue(number, kind, msg)
		}
		if n < 0 {
			return errProto
		}
		msg = msg[n:]
		if err := f(fd); err != nil {
			return err
		}
	}
	return nil
}

// readGraph reads a ModelProto and refuses what must not reach the runtime.
func readGraph(file []byte) (*graph, error) {
	g := &graph{}
	seen := false
	err := each(file, func(fd field) error {
		switch fd.number {
		case modelGraph:
			seen = true
			return g.main(fd.bytes)
		case modelOpset:
			return g.opsetImport(fd.bytes)
		case modelFunctions:
			return each(fd.bytes, func(fd field) error {
				if fd.number == functionNode {
					return checkNode(fd.bytes, 0)
				}
				return nil
			})
		}
		return nil
	})
	if err == nil && (!seen || g.opset == 0 || len(g.inputs) == 0 || len(g.outputs) == 0) {
		err = errProto
	}
	return g, err
}

func (g *graph) opsetImport(msg []byte) error {
	var domain string
	var version uint64
	err := each(msg, func(fd field) error {
		switch fd.number {
		case opsetDomain:
			domain = string(fd.bytes)
		case opsetVersion:
			version = fd.value
		}
		return nil
	})
	if err == nil && (domain == "" || domain == "ai.onnx") {
		g.opset = int(version & 0xffff)
	}
	return errors.Join(err, checkDomain(domain))
}

func checkDomain(domain string) error {
	if !slices.Contains(domains, domain) {
		return errors.New("the model uses operators of a domain that is not allowed")
	}
	return nil
}

// main reads the top graph: its ports, and whether all of it may run.
func (g *graph) main(msg []byte) error {
	var initializers []string
	err := each(msg, func(fd field) error {
		switch fd.number {
		case graphInput:
			p, err := readPort(fd.bytes)
			g.inputs = append(g.inputs, p)
			return err
		case graphOutput:
			p, err := readPort(fd.bytes)
			g.outputs = append(g.outputs, p)
			return err
		case graphInitializer:
			name, err := checkTensor(fd.bytes)
			initializers = append(initializers, name)
			return err
		}
		return nil
	})
	// Files before IR version 4 list initializers among the inputs.
	g.inputs = slices.DeleteFunc(g.inputs, func(p port) bool { return slices.Contains(initializers, p.Name) })
	return errors.Join(err, checkGraph(msg, 0))
}

// checkGraph looks through a graph and the graphs within it.
func checkGraph(msg []byte, depth int) error {
	if depth > maxGraphDepth {
		return errDepth
	}
	return each(msg, func(fd field) error {
		switch fd.number {
		case graphNode:
			return checkNode(fd.bytes, depth)
		case graphInitializer:
			_, err := checkTensor(fd.bytes)
			return err
		case graphSparse:
			return checkSparse(fd.bytes)
		}
		return nil
	})
}

func checkNode(msg []byte, depth int) error {
	return each(msg, func(fd field) error {
		switch fd.number {
		case nodeDomain:
			return checkDomain(string(fd.bytes))
		case nodeAttribute:
			return each(fd.bytes, func(fd field) error { return checkAttribute(fd, depth) })
		}
		return nil
	})
}

func checkAttribute(fd field, depth int) error {
	switch fd.number {
	case attributeTensor, attributeTensors:
		_, err := checkTensor(fd.bytes)
		return err
	case attributeSparse, attributeSparses:
		return checkSparse(fd.bytes)
	case attributeGraph, attributeGraphs:
		return checkGraph(fd.bytes, depth+1)
	}
	return nil
}

// checkSparse checks the two tensors (fields 1 and 2) of a SparseTensorProto.
func checkSparse(msg []byte) error {
	return each(msg, func(fd field) error {
		if fd.number > 2 {
			return nil
		}
		_, err := checkTensor(fd.bytes)
		return err
	})
}

// checkTensor refuses data that lies in another file: a path in a model must not
// make the server read what it names.
func checkTensor(msg []byte) (name string, err error) {
	err = each(msg, func(fd field) error {
		switch fd.number {
		case tensorName:
			name = string(fd.bytes)
		case tensorExternal:
			return errExternal
		case tensorLocation:
			if fd.value != 0 {
				return errExternal
			}
		}
		return nil
	})
	return name, err
}

func readPort(msg []byte) (port, error) {
	var p port
	err := each(msg, func(fd field) error {
		switch fd.number {
		case valueName:
			p.Name = string(fd.bytes)
		case valueType:
			return p.readType(fd.bytes)
		}
		return nil
	})
	if err == nil && p.DType == "" {
		err = fmt.Errorf("port %q is no tensor", p.Name)
	}
	return p, err
}

func (p *port) readType(msg []byte) error {
	return each(msg, func(fd field) error {
		if fd.number != typeTensor {
			return nil
		}
		return each(fd.bytes, func(fd field) error {
			switch fd.number {
			case tensorElem:
				dtype, ok := dtypes[fd.value]
				if !ok {
					return fmt.Errorf("port %q has an element type that is not supported", p.Name)
				}
				p.DType = dtype
			case tensorShape:
				return each(fd.bytes, p.readDim)
			}
			return nil
		})
	})
}

func (p *port) readDim(fd field) error {
	if fd.number != shapeDim {
		return nil
	}
	size, symbol := int64(-1), ""
	err := each(fd.bytes, func(fd field) error {
		switch fd.number {
		case dimValue:
			size = int64(fd.value)
		case dimParam:
			symbol = string(fd.bytes)
		}
		return nil
	})
	if size < -1 {
		return errProto
	}
	p.Shape = append(p.Shape, size)
	p.symbols = append(p.symbols, symbol)
	return err
}
