// The race detector empties pools at random.
//go:build !race

package schema

import "testing"

func TestEncodeAllocatesOnlyItsResult(t *testing.T) {
	f, r := twenty()
	c := compile(t, fieldsOf(t, Array, f), 1)
	buffer := make([]byte, 0, 4096)
	for name, test := range map[string]struct {
		dst  []byte
		most float64
	}{"into a buffer": {buffer, 0}, "into nothing": {nil, 1}} {
		got := testing.AllocsPerRun(100, func() {
			if _, _, err := c.Encode(test.dst, r); err != nil {
				t.Fatal(err)
			}
		})
		if got > test.most {
			t.Errorf("%s: %v allocations, want %v", name, got, test.most)
		}
	}
}
