package main

import _ "embed"

// demoBundle is a transaction with two invented patients; {{now}} stands for an
// hour ago.
//
//go:embed demo.json
var demoBundle string
