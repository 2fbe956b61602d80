package schema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"leadstream/internal/lead"
)

// options are the choices of one question in one form version, by id. It is
// never changed in place. As JSON it is an object in the order of the ids:
// {"0":"Connectors","1":"Operations"}.
type options []lead.Option

// newOptions sorts by id; of two with the same id the first counts.
func newOptions(from []lead.Option) options {
	var out options
	for _, o := range from {
		if at, found := out.find(o.ID); !found {
			out = slices.Insert(out, at, lead.Option{ID: o.ID, Text: wellFormed(o.Text)})
		}
	}
	return out
}

func (o options) find(id int64) (int, bool) {
	return slices.BinarySearchFunc(o, id, func(o lead.Option, id int64) int { return cmp.Compare(o.ID, id) })
}

// over is o with the choices of older that o does not have.
func (o options) over(older options) options {
	return newOptions(slices.Concat(o, older))
}

// text is the options as JSON, also the property linkedin.options.
func (o options) text() string {
	out := []byte{'{'}
	for i, option := range o {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(strconv.AppendInt(append(out, '"'), option.ID, 10), '"', ':')
		out = appendJSONString(out, option.Text)
	}
	return string(append(out, '}'))
}

// MarshalJSON implements json.Marshaler.
func (o options) MarshalJSON() ([]byte, error) { return []byte(o.text()), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (o *options) UnmarshalJSON(text []byte) error {
	var texts map[int64]string
	if err := json.Unmarshal(text, &texts); err != nil {
		return fmt.Errorf("reading options: %w", err)
	}
	var out []lead.Option
	for id, text := range texts {
		out = append(out, lead.Option{ID: id, Text: text})
	}
	*o = newOptions(out)
	return nil
}
