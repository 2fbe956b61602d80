package schema

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/twmb/avro"
)

// Decoder reads record values back, as any consumer would: by the schema id
// that they carry, which it asks the registry for once. It uses another Avro
// implementation than Codec, so that the two check each other. It is safe for
// concurrent use.
type Decoder struct {
	registry *Registry

	mu      sync.Mutex
	schemas map[int]*avro.Schema
}

// NewDecoder makes a Decoder that asks r for schemas.
func NewDecoder(r *Registry) *Decoder {
	return &Decoder{registry: r, schemas: map[int]*avro.Schema{}}
}

// Decode is the value as a JSON object, its members in alphabetical order and with
// nothing escaped that need not be. Errors never quote the value.
func (d *Decoder) Decode(ctx context.Context, value []byte) (json.RawMessage, error) {
	if len(value) < 5 || value[0] != 0 {
		return nil, fmt.Errorf("decoding a value of %d bytes: not in the Confluent wire format", len(value))
	}
	id := int(binary.BigEndian.Uint32(value[1:]))
	s, err := d.schema(ctx, id)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if rest, err := s.Decode(value[5:], &fields); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("decoding a value with schema %d: it does not fit the schema", id)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(fields); err != nil {
		return nil, fmt.Errorf("decoding a value with schema %d: it cannot be shown as JSON", id)
	}
	return bytes.TrimSuffix(text.Bytes(), []byte{'\n'}), nil
}

func (d *Decoder) schema(ctx context.Context, id int) (*avro.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s, ok := d.schemas[id]; ok {
		return s, nil
	}
	text, err := d.registry.byID(ctx, id)
	if err != nil {
		return nil, err
	}
	s, err := avro.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parsing schema %d: %w", id, err)
	}
	d.schemas[id] = s
	return s, nil
}
