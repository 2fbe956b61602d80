package kafka

import (
	"slices"
	"testing"
)

func TestFirst(t *testing.T) {
	c, _ := fake(t)
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	create(t, c, 3, "a", "b")
	p := producer(t, c, "tx")
	var msgs []Message
	for _, v := range []string{"1", "2", "3", "4", "5"} {
		msgs = append(msgs, message("a", v), message("b", v))
	}
	t.Log(commit(t, p, msgs...))
	t.Log(commit(t, p, msgs...))
	got := eventuallyValues(t, c, "a", 10)
	slices.Sort(got)
	t.Log(got)
	n, err := c.GroupMembers(t.Context(), "nope")
	t.Log(n, err)
	t.Log(c.DescribeTopics(t.Context(), []string{"a", "x"}, "max.message.bytes"))
	t.Log(c.Offsets(t.Context(), "a"))
}
