package modeltest_test

import (
	"testing"

	"galen/models"
	"galen/models/modeltest"
)

func TestFakeKeepsTheContract(t *testing.T) {
	modeltest.Run(t, func(*testing.T) models.Runner { return &modeltest.Fake{} })
}
