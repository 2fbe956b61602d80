package kafka

import (
	"testing"

	kafkago "github.com/segmentio/kafka-go"
)

// TestAMemberThatTheCoordinatorDoesNotKnowIsNotTakenForOne: the work is ours no
// longer, whatever we remember.
func TestAMemberThatTheCoordinatorDoesNotKnowIsNotTakenForOne(t *testing.T) {
	c, _ := fake(t)
	if c.stillMember(t.Context(), &kafkago.Generation{ID: 1, GroupID: "group", MemberID: "unknown"}) {
		t.Error("an unknown member was confirmed")
	}
	if err := c.leaveGroup(t.Context(), "group", "unknown"); err != nil {
		t.Errorf("leaving as an unknown member: %v, want it taken for done", err)
	}
}
