package connector

import "go.uber.org/zap"

// readingDeletions is the work of making sense of the deletions' entries.
const readingDeletions = "reading the deletions"

// doubtDeletions says, once each, which entries of the deletions cannot be read.
// Nothing waits for them but the leads that they are about.
func (e *epoch) doubtDeletions() {
	err := e.store.UnreadableDeletion()
	if err == nil {
		e.troubles.Over(readingDeletions)
		e.doubted.Reset()
		return
	}
	e.troubles.Note("", readingDeletions, err)
	if e.doubted.New(err) {
		e.log.Error("a deletion cannot be read; its lead is neither published nor removed", zap.Error(err))
	}
}
