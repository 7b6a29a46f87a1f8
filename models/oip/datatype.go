package oip

import (
	"galen/models"
	"galen/models/manifest"
)

// datatypes are the protocol's names of element types, with their width in
// bytes, 0 where it varies.
var datatypes = []struct {
	name  string
	dtype models.DType
	width int
}{
	{"BOOL", manifest.Bool, 1},
	{"UINT8", manifest.Uint8, 1},
	{"UINT16", manifest.Uint16, 2},
	{"UINT32", manifest.Uint32, 4},
	{"UINT64", manifest.Uint64, 8},
	{"INT8", manifest.Int8, 1},
	{"INT16", manifest.Int16, 2},
	{"INT32", manifest.Int32, 4},
	{"INT64", manifest.Int64, 8},
	{"FP16", manifest.Float16, 2},
	{"FP32", manifest.Float32, 4},
	{"FP64", manifest.Float64, 8},
	{"BYTES", manifest.String, 0},
}

// Datatype is the protocol's name of an element type, such as FP32.
func Datatype(dtype models.DType) string {
	for i := range datatypes {
		if datatypes[i].dtype == dtype {
			return datatypes[i].name
		}
	}
	return ""
}

// DType is the element type of a datatype; false when there is none.
func DType(datatype string) (models.DType, bool) {
	for i := range datatypes {
		if datatypes[i].name == datatype {
			return datatypes[i].dtype, true
		}
	}
	return "", false
}

func width(dtype models.DType) int {
	for i := range datatypes {
		if datatypes[i].dtype == dtype {
			return datatypes[i].width
		}
	}
	return 0
}
