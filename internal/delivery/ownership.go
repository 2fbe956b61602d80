package delivery

import (
	"context"
	"errors"
	"fmt"

	"leadstream/internal/kafka"
)

// errFound ends a read that has found what it was for.
var errFound = errors.New("found")

// Others says what a lead topic holds beside the leads of one installation, in
// words that follow "it holds"; empty where every record is that installation's, or a
// tombstone that a person wrote. existed says that the topic held something before the
// installation's first lead, as far as its progress tells: after a lost checkpoint
// its own leads look like that. Then every record is read and one at least must bear
// its name, else only the last ones.
func Others(ctx context.Context, c *kafka.Client, topic, name string, existed bool) (string, error) {
	var from kafka.From
	if !existed {
		from.Tail = ownerSample
	}
	others, own := "", false
	err := c.Reader.Read(ctx, topic, from, func(r *kafka.Record) error {
		switch _, owner, _ := readEntry(r); {
		case owner == name:
			own = true
		case owner != "":
			others = fmt.Sprintf("leads of the installation %q", owner)
			return errFound
		case r.Value != nil:
			others = "records that leadstream did not write"
			return errFound
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return "", fmt.Errorf("looking whose records topic %s holds: %w", topic, err)
	}
	if others == "" && existed && !own {
		others = "nothing that tells who made it"
	}
	return others, nil
}

// ownerSample is how many of a partition's last offsets are looked at for another
// installation's name before the first write to it; whatever is read later is
// looked at as well.
const ownerSample = 100

func (s *Store) checkOwner(ctx context.Context, name string) error {
	if s.opts.Adopt {
		return nil
	}
	err := s.opts.Cluster.Reader.Read(ctx, name, kafka.From{Tail: ownerSample}, func(r *kafka.Record) error {
		_, _, err := s.entryOf(r)
		return err
	})
	if err != nil {
		return fmt.Errorf("looking whose leads topic %s holds: %w", name, err)
	}
	return nil
}
