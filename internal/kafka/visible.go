package kafka

import (
	"context"
	"fmt"
)

// MarkersVisible reports whether what stands at these offsets, by partition, belongs to
// no transaction that is still open to readers: its marker stands behind it, or
// there never was one. An acknowledged commit is decided, but its markers take a
// moment, in which others may write behind it. The topic must reach beyond the
// offsets. It reads from each of them to the end. Errors as of Read.
func (c *Cluster) MarkersVisible(ctx context.Context, topic string, offsets map[int]int64) (bool, error) {
	bounds, err := c.Offsets(ctx, topic)
	if err != nil {
		return false, err
	}
	d, err := newDecoder()
	if err != nil {
		return false, fmt.Errorf("preparing to read topic %s: %w", topic, err)
	}
	defer d.zstd.Close()
	r := &reader{cluster: c, topic: topic, decoder: d}
	for partition, offset := range offsets {
		if partition >= len(bounds) {
			return false, nil
		}
		open, err := r.partition(ctx, partition, max(offset, bounds[partition].First), bounds[partition].End)
		if err != nil {
			return false, err
		}
		for _, batches := range open {
			if batches[0].base <= offset {
				return false, nil
			}
		}
	}
	return true, nil
}
