package connector

// readingDeletions is the work of making sense of the deletions' entries.
const readingDeletions = "reading the deletions"

// doubtDeletions says, once each, which entries of the deletions cannot be read.
// Nothing waits for them but the leads that they are about.
func (e *leader) doubtDeletions(err error) {
	e.mu.Lock()
	e.unreadableDeletion = err
	e.mu.Unlock()
	if err == nil {
		e.issues.Resolve(readingDeletions)
		return
	}
	e.issues.ReportAs("", readingDeletions, "a deletion cannot be read; its lead is neither published nor removed", err)
}
