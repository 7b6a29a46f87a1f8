package upkeep

import "encoding/json"

// parameters is a Parameters resource in the making.
type parameters []map[string]any

// add adds a parameter; member is that of its value, "valueString".
func (p *parameters) add(name, member string, value any) {
	*p = append(*p, map[string]any{"name": name, member: value})
}

func (p parameters) bytes() []byte {
	text, _ := json.Marshal(map[string]any{"resourceType": "Parameters", "parameter": p}) // of strings and numbers: cannot fail
	return text
}
