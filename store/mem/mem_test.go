package mem_test

import (
	"testing"

	"galen/store"
	"galen/store/mem"
	"galen/store/storetest"
)

func TestDriver(t *testing.T) {
	storetest.Run(t, storetest.Harness{Open: func(*testing.T) store.Driver { return mem.New() }})
}
