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
	cmd := &cobra.Command{
		Use:   "checkpoints",
		Short: "Read and change the progress",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
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
	cmd.AddCommand(list, set, reset)
	return cmd
}

// checkpoints is what the commands of this file share: the configuration, the
// cluster and the records.
func (a *app) checkpoints(ctx context.Context) (*config.Config, *kafka.Client, map[string][]byte, error) {
	c, cluster, err := a.cluster()
	if err != nil {
		return nil, nil, nil, err
	}
	records, err := delivery.ReadCheckpoints(ctx, cluster, c.Name)
	if err != nil {
		cluster.Close()
		return nil, nil, nil, err
	}
	return c, cluster, records, nil
}

func (a *app) listCheckpoints(ctx context.Context, prefixes []string) error {
	_, cluster, records, err := a.checkpoints(ctx)
	if err != nil {
		return err
	}
	defer cluster.Close()
	var rows []checkpointRow
	for _, key := range slices.Sorted(maps.Keys(records)) {
		wanted := func(prefix string) bool { return strings.HasPrefix(key, prefix) }
		if len(prefixes) > 0 && !slices.ContainsFunc(prefixes, wanted) {
			continue
		}
		value := json.RawMessage(records[key])
		if isToken(key) && bytes.Contains(value, []byte(`"sealed"`)) {
			value = json.RawMessage(`{"sealed":"[encrypted]"}`)
		}
		if !json.Valid(value) { // it is shown all the same, so that it can be removed
			quoted, err := json.Marshal(string(value))
			if err != nil {
				return fmt.Errorf("showing record %s: %w", key, err)
			}
			value = quoted
		}
		value = legible(value)
		rows = append(rows, checkpointRow{key, value})
	}
	return printList(a, rows, []string{"KEY", "VALUE"}, func(r checkpointRow) []string {
		return []string{r.Key, string(r.Value)}
	})
}

// legible is JSON with nothing escaped that need not be.
func legible(value json.RawMessage) json.RawMessage {
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
	c, cluster, records, err := a.checkpoints(ctx)
	if err != nil {
		return err
	}
	defer cluster.Close()
	set := map[string][]byte{key: value}
	if err := begin(set, records); err != nil {
		return err
	}
	if err := writeCheckpoints(ctx, c, cluster, set); err != nil {
		return err
	}
	return a.print("Written: " + key + ".\n") // it can be printed: it was checked
}

// begin adds to what is written into a topic without progress the record by which the
// next start knows that it counts. What stands in a topic that lacks it does not, and
// must not come to count so.
func begin(set, records map[string][]byte) error {
	if _, begun := records[checkpoint.ProcessKey]; begun {
		return nil
	}
	if len(delivery.Orphans(records)) > 0 {
		return usageErrorf("the topic was deleted and made anew, so that its progress does not count: start the connector once, or remove what is there with leadstream checkpoints reset --all")
	}
	value, err := checkpoint.Encode(checkpoint.Process{ID: processID(), Since: time.Now().UTC()})
	set[checkpoint.ProcessKey] = value
	return err
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
	c, cluster, records, err := a.checkpoints(ctx)
	if err != nil {
		return err
	}
	defer cluster.Close()
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
	if err := writeCheckpoints(ctx, c, cluster, gone); err != nil {
		return err
	}
	return a.print("Removed: " + printable(strings.Join(slices.Sorted(maps.Keys(gone)), ", ")) + ".\n")
}

// writeCheckpoints commits records, nil values as removals, as the only writer:
// initialising the producer fences a connector that is just starting.
func writeCheckpoints(ctx context.Context, c *config.Config, cluster *kafka.Client, records map[string][]byte) error {
	if err := refuseWhileRunning(ctx, cluster, c.Name); err != nil {
		return err
	}
	if err := delivery.Inspect(ctx, delivery.Options{Cluster: cluster, Name: c.Name}); err != nil {
		return err
	}
	producer := cluster.NewProducer(c.Name, transactionTimeout)
	if err := producer.Init(ctx); err != nil {
		return fmt.Errorf("starting the transactional producer: %w", err)
	}
	var msgs []kafka.Message
	for _, key := range slices.Sorted(maps.Keys(records)) {
		msgs = append(msgs, kafka.Message{Topic: delivery.CheckpointTopic(c.Name), Key: []byte(key), Value: records[key], Time: time.Now()})
	}
	if _, err := producer.Commit(ctx, msgs); err != nil {
		if errors.Is(err, kafka.ErrTopicMissing) {
			return usageErrorf("there is no checkpoint topic %s yet: start the connector once", delivery.CheckpointTopic(c.Name))
		}
		return fmt.Errorf("writing %d records: %w", len(msgs), err)
	}
	return nil
}
