package audit

import "time"

// submitDelay is how long a submitted entry waits for others before the disk is
// asked; with it one flush serves hundreds of entries.
const submitDelay = 2 * time.Millisecond

// maxBacklog is how much may wait, in bytes, before Submit waits as Append does.
const maxBacklog = 4 << 20

// Submit adds the entries as Append does and returns before they are on disk,
// which they are a few milliseconds later: a crash of the process or machine may
// lose those last ones. It is for what touches no patient's record, where waiting
// for the disk would cost more than the thing itself. When the disk fails, or
// does not keep up, it fails as Append does. Close and every Append write what
// was submitted before.
func (l *Log) Submit(entries ...Entry) (uint64, error) {
	b, first, err := l.add(entries)
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	if l.backlog() > maxBacklog {
		l.baton <- struct{}{}
		l.flush()
		<-l.baton
		<-b.done
		return first, b.err
	}
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
	return first, nil
}

func (l *Log) backlog() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.batch.data)
}

// flushSubmitted writes what was submitted until the log is closed.
func (l *Log) flushSubmitted() {
	defer close(l.stopped)
	for {
		select {
		case <-l.stop:
			return
		case <-l.wake:
		}
		select {
		case <-l.stop:
			return
		case <-time.After(submitDelay):
		}
		l.baton <- struct{}{}
		l.flush()
		<-l.baton
	}
}
