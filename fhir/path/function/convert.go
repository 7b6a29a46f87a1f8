package function

import (
	"galen/fhir/path/machine"
	"galen/fhir/path/system"
)

// conversionFunctions are N1, 5.5: to… and convertsTo… of each type.
func conversionFunctions() map[string]machine.Function {
	table := map[string]machine.Function{
		"toQuantity":         {Max: 1, Run: quantityConversion(false)},
		"convertsToQuantity": {Max: 1, Run: quantityConversion(true)},
	}
	for name, f := range system.Conversions() {
		table["to"+name] = machine.Function{Run: conversion(f, false)}
		table["convertsTo"+name] = machine.Function{Run: conversion(f, true)}
	}
	return table
}

// conversion makes toX or, with test set, convertsToX.
func conversion(f system.Conversion, test bool) body {
	return func(c *machine.Run, n *machine.Call, base int) error {
		it, ok, err := machine.One(c.Above(base), n.Offset)
		c.Cut(base)
		if err != nil || !ok {
			return err
		}
		v := f(it.Value())
		if test {
			v = v != nil
		}
		return c.PushValue(v, n.Offset)
	}
}

// quantityConversion makes toQuantity([unit]): with a unit the value is
// converted to it, or the result is empty.
func quantityConversion(test bool) body {
	return func(c *machine.Run, n *machine.Call, base int) error {
		it, ok, err := machine.One(c.Above(base), n.Offset)
		c.Cut(base)
		if err != nil || !ok {
			return err
		}
		q, ok := system.AsQuantity(it.Value())
		if len(n.Args) == 1 {
			unit, given, err := c.Arg(n, 0)
			if err != nil || !given {
				return err
			}
			u, isText := unit.Str()
			if !isText {
				return machine.Misfit(n.Offset, "expected a String as unit")
			}
			if ok = ok && c.Types.Units() != nil; ok {
				q, ok = system.ConvertQuantity(q, u, c.Types.Units())
			}
		}
		switch {
		case test:
			return c.PushValue(ok, n.Offset)
		case ok:
			return c.PushValue(q, n.Offset)
		}
		return nil
	}
}
