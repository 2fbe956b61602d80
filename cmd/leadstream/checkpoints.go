package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"leadstream/config"
	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedin"
	"leadstream/schema"
)

// checkpointRow is one record of the checkpoint topic.
type checkpointRow struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// newCheckpoints is "leadstream checkpoints".
func newCheckpoints(a *app) *cobra.Command {
	list := &cobra.Command{
		Use:   "list [PREFIX…]",
		Short: "The records of the checkpoint topic",
		Long: `Lists the records of <name>.checkpoints: source/… is the progress of a source,
replay/… of a replay, debt/… what is deferred of a suspended form, form/… and topic/…
what is known of a form and its topic, requests the API calls of today,
deletions how far deletions were carried out, push/… what a standby was last
told of, and token/… the tokens of token.store kafka, of which nothing is shown;
hours and organizations are for the status page. process says which process began
to work last, and that the records count; transaction what was written last. With
prefixes only the records whose keys begin so.`,
		RunE: func(cmd *cobra.Command, prefixes []string) error { return a.listCheckpoints(cmd.Context(), prefixes) },
	}
	a.addOutput(list)
	set := &cobra.Command{
		Use:   "set KEY JSON",
		Short: "Write one record",
		Long: `Writes one record of the checkpoint topic; it is checked first, as strictly as
the next start will need it. To change a record, take it from "checkpoints list
-o json". Refused while a connector of
this name is running. To read a window again use run --replay-from instead: it
needs no change of progress. Tokens are no progress: see leadstream auth.`,
		Args: exactly("KEY", "JSON"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.setCheckpoint(cmd.Context(), args[0], args[1])
		},
	}
	var all bool
	reset := &cobra.Command{
		Use:   "reset KEY…",
		Short: "Remove records",
		Long: `Removes records of the checkpoint topic, with --all every one: the next start
is then a first start, and still repeats nothing that the topics hold. Refused
while a connector of this name is running. Tokens (token.store kafka) stay
where they are; "leadstream auth logout" removes them.`,
		RunE: func(cmd *cobra.Command, keys []string) error { return a.resetCheckpoints(cmd.Context(), keys, all) },
	}
	reset.Flags().BoolVar(&all, "all", false, "remove every record of progress")
	return newGroup("checkpoints", "Read and change the progress", list, set, reset)
}

// checkpoints is what the commands of this file share: Kafka and the records.
func (a *app) checkpoints(ctx context.Context) (*system, map[string][]byte, error) {
	s, err := a.kafkaAlone()
	if err != nil {
		return nil, nil, err
	}
	records, err := delivery.ReadCheckpoints(ctx, s.cluster, s.config.Name)
	if err != nil {
		s.close()
	}
	return s, records, err
}

func (a *app) listCheckpoints(ctx context.Context, prefixes []string) error {
	s, records, err := a.checkpoints(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	var rows []checkpointRow
	for _, key := range slices.Sorted(maps.Keys(records)) {
		wanted := func(prefix string) bool { return strings.HasPrefix(key, prefix) }
		if len(prefixes) == 0 || slices.ContainsFunc(prefixes, wanted) {
			rows = append(rows, checkpointRow{key, shownValue(key, records[key])})
		}
	}
	return printList(a, rows, []string{"KEY", "VALUE"}, func(r checkpointRow) []string {
		return []string{r.Key, string(r.Value)}
	})
}

// shownValue is a record's value as JSON with nothing escaped that need not be, and
// without tokens. What is no JSON is shown all the same, so that it can be removed.
func shownValue(key string, value []byte) json.RawMessage {
	if isToken(key) && bytes.Contains(value, []byte(`"sealed"`)) {
		value = []byte(`{"sealed":"[encrypted]"}`)
	}
	if !json.Valid(value) {
		value, _ = json.Marshal(string(value)) // a text always can be
	}
	out := jsontext.Value(slices.Clone(value))
	if out.Format(jsontext.PreserveRawStrings(false), jsontext.SpaceAfterColon(false), jsontext.SpaceAfterComma(false), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil {
		return value
	}
	return json.RawMessage(out)
}

// isToken tells records of tokens, which are not progress.
func isToken(key string) bool {
	_, ok := checkpoint.ParseTokenKey(key)
	return ok
}

func (a *app) setCheckpoint(ctx context.Context, key, text string) error {
	value, err := checkpointValue(key, text)
	if err != nil {
		return err
	}
	s, records, err := a.checkpoints(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.editCheckpoints(ctx, records, map[string][]byte{key: value}); err != nil {
		return err
	}
	return a.print("Written: " + key + ".\n") // it can be printed: it was checked
}

// ownRecord tells the records by which a start knows what it may rely on.
func ownRecord(key string) bool {
	return key == checkpoint.ProcessKey || key == checkpoint.TransactionKey
}

// checkpointValue checks a record as the next start will read it, and writes it
// anew.
func checkpointValue(key, text string) ([]byte, error) {
	if isToken(key) {
		return nil, usageErrorf("record %q holds tokens, not progress: leadstream auth login gives new ones", key)
	}
	if !config.Printable(key) {
		return nil, usageErrorf("key %q must not hold line breaks, control characters or others that are not seen", key)
	}
	record, err := checkpoint.Edited(key, []byte(text), time.Now())
	if err != nil {
		return nil, exitWith(exitUsage, err)
	}
	switch r := record.(type) {
	case *checkpoint.Form:
		id := strings.TrimPrefix(key, checkpoint.FormKey(""))
		fields := new(schema.Fields)
		err := r.ReadFields(id, fields)
		if stored, ok := errors.AsType[*checkpoint.UnreadableError](err); ok { // this one is not stored yet
			err = fmt.Errorf("record %q: its fields cannot be read: %w", key, fault.Plain(stored.Err))
		}
		if err == nil && fields.FormID() != id {
			err = fmt.Errorf("record %q: its fields are those of form %s", key, fields.FormID())
		}
		if err != nil {
			return nil, exitWith(exitUsage, err)
		}
	case *checkpoint.Requests:
		var counters linkedin.Counters
		if err := json.Unmarshal(r.Counters, &counters); err != nil {
			return nil, usageErrorf("record %q: its counters cannot be read: %w", key, fault.Plain(err))
		}
	}
	return checkpoint.Encode(record)
}

func (a *app) resetCheckpoints(ctx context.Context, keys []string, all bool) error {
	if all == (len(keys) > 0) {
		return usageErrorf("name the keys to remove, or --all")
	}
	s, records, err := a.checkpoints(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if all {
		keys = slices.DeleteFunc(slices.Collect(maps.Keys(records)), isToken)
	}
	gone := map[string][]byte{}
	for _, key := range keys {
		if isToken(key) {
			return usageErrorf("record %q holds tokens, not progress: leadstream auth logout removes them", key)
		}
		if !all && ownRecord(key) {
			return usageErrorf("record %q is no progress: by it a start knows that the others count; --all removes it with them", key)
		}
		if _, ok := records[key]; !ok {
			return usageErrorf("there is no record %q; see leadstream checkpoints list", key)
		}
		gone[key] = nil
	}
	if len(gone) == 0 {
		return a.print("There are no records of progress.\n")
	}
	if err := s.editCheckpoints(ctx, records, gone); err != nil {
		return err
	}
	return a.print("Removed: " + printable(strings.Join(slices.Sorted(maps.Keys(gone)), ", ")) + ".\n")
}

func (s *system) editCheckpoints(ctx context.Context, existing, edits map[string][]byte) error {
	if err := s.refuseWhileRunning(ctx); err != nil {
		return err
	}
	err := delivery.EditCheckpoints(ctx, s.storeOptions(), checkpoint.Process{ID: processID(), Since: time.Now().UTC()}, existing, edits)
	switch {
	case errors.Is(err, delivery.ErrOrphans):
		return exitWith(exitUsage, err)
	case errors.Is(err, kafka.ErrTopicMissing):
		return usageErrorf("there is no checkpoint topic %s yet: start the connector once", delivery.CheckpointTopic(s.config.Name))
	}
	return err
}
