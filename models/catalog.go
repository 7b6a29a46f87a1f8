package models

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"galen/models/manifest"
)

// Source is a tree of <name>/<version> folders. Plain files at its top and names
// that start with a dot or underscore are passed over; a half-copied folder
// should be named so until it is whole.
type Source struct {
	Name string // for people: "built-in", or a path
	FS   fs.FS
}

// Dir is a directory as a Source; no link in it is followed out of it.
func Dir(dir string) (Source, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Source{}, &Error{Op: "open catalog", Kind: NotFound, Err: err}
	}
	return Source{Name: dir, FS: root.FS()}, nil
}

// Options tell a catalog how to run its models.
type Options struct {
	Openers     map[manifest.Runtime]Opener
	Concurrency int   // Predicts that run at once per version; 0 is GOMAXPROCS+1
	Queue       int   // callers that wait per version before Busy; 0 is 64
	MaxBytes    int64 // the largest model file; 0 is 512 MiB

	// Lane is how many runs of slow versions go on at once over the whole catalog;
	// 0 is GOMAXPROCS-1, at least 1. It leaves a processor to the quick versions,
	// so that a slow one never starves them.
	Lane int
	// Slow is the cost of a run from which on a version is slow; 0 is 1 ms.
	Slow time.Duration
	// Now is the clock that costs are measured with; nil is time.Now.
	Now func() time.Time

	// Settings are what was decided before, and Save keeps what is decided from
	// now on; a change that cannot be saved is not made. Save may be nil.
	Settings Settings
	Save     func(Settings) error
}

func (o *Options) defaults() {
	processors := runtime.GOMAXPROCS(0)
	set := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&o.Concurrency, processors+1)
	set(&o.Queue, 64)
	set(&o.Lane, max(1, processors-1))
	if o.MaxBytes <= 0 {
		o.MaxBytes = 512 << 20
	}
	if o.Slow <= 0 {
		o.Slow = time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Refusal is a folder that is not served, and why.
type Refusal struct {
	Source string
	Path   string // in the source
	Err    error  // Kind Refused
}

// Catalog holds the served versions. It is safe for concurrent use: readers take
// no lock, and a change appears at once and whole. Loading holds up no other
// change, so that a model can be stopped while another one loads.
type Catalog struct {
	opts    Options
	lane    chan struct{} // held by each run of a slow version
	loading sync.Mutex    // held by who loads; guards sources
	sources []Source
	changes sync.Mutex // held by who changes the state
	state   atomic.Pointer[state]
}

// state is immutable once stored.
type state struct {
	versions map[string][]*version // by name, newest first
	refused  []Refusal
	settings Settings
}

// Load makes a catalog of the sources, in order; of two folders with the same
// name and version the first is served and the second refused. A folder that
// does not hold is in Refused, not an error. Errors: Internal when a source
// cannot be listed, Timeout when ctx ends.
func Load(ctx context.Context, opts Options, sources ...Source) (*Catalog, error) {
	opts.defaults()
	c := &Catalog{opts: opts, lane: make(chan struct{}, opts.Lane)}
	c.state.Store(&state{settings: opts.Settings.clone()})
	for _, src := range sources {
		if err := c.Add(ctx, src); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// Add loads what a source holds and serves it beside what is served already; the
// source is also where Reload looks. Folders whose name and version are served
// already are refused. Errors as Load; then nothing of the source is served.
func (c *Catalog) Add(ctx context.Context, src Source) error {
	c.loading.Lock()
	defer c.loading.Unlock()
	folders, err := list(src)
	if err != nil {
		return &Error{Op: "list catalog " + src.Name, Kind: Internal, Err: err}
	}
	var b batch
	for _, folder := range folders {
		if err := c.into(ctx, &b, src, folder, false); err != nil {
			return err
		}
	}
	c.sources = append(c.sources, src)
	c.publish(&b)
	return nil
}

// batch is what was loaded and is to appear at once.
type batch struct {
	loaded  []*version
	refused []Refusal
}

// into loads one folder into a batch; again lets it stand in for the version that
// is served. An error means that ctx ended, and then the batch is closed.
func (c *Catalog) into(ctx context.Context, b *batch, src Source, folder string, again bool) error {
	if ctx.Err() != nil {
		return errors.Join(&Error{Op: "load catalog " + src.Name, Kind: Timeout, Err: context.Cause(ctx)}, closeAll(b.loaded))
	}
	v, err := c.load(ctx, src, folder, again)
	if err != nil {
		b.refused = append(b.refused, Refusal{Source: src.Name, Path: folder, Err: err})
		return nil
	}
	b.loaded = append(b.loaded, v)
	return nil
}

// publish makes a batch appear. A version that it replaces is let go, and closed
// after its last holder.
func (c *Catalog) publish(b *batch) {
	c.changes.Lock()
	defer c.changes.Unlock()
	next := c.state.Load().clone()
	var replaced []*version
	for _, v := range b.loaded {
		if old := next.pinned(v.info.Ref); old != nil {
			replaced = append(replaced, old)
			next.remove(old)
		}
		next.insert(v)
	}
	for _, r := range b.refused {
		next.refuse(r)
	}
	c.state.Store(next)
	for _, v := range replaced {
		v.release()
	}
}

// list names the <name>/<version> folders of a source.
func list(src Source) ([]string, error) {
	var folders []string
	names, err := fs.ReadDir(src.FS, ".")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if skip(name) {
			continue
		}
		versions, err := fs.ReadDir(src.FS, name.Name())
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			if !skip(v) {
				folders = append(folders, path.Join(name.Name(), v.Name()))
			}
		}
	}
	return folders, nil
}

func skip(e fs.DirEntry) bool {
	return !e.IsDir() || strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_")
}

// Acquire holds the version a Ref names; the caller must Release it. Errors:
// NotFound; Refused when exactly that version was refused; Stopped.
func (c *Catalog) Acquire(ref Ref) (*Model, error) {
	for {
		s := c.state.Load()
		v := s.find(ref)
		if v == nil {
			return nil, s.missing(ref)
		}
		if reason, stopped := s.settings.stopped(v.info.Ref); stopped {
			return nil, v.error("find model", Stopped, errors.New(reason))
		}
		if v.acquire() {
			return &Model{v: v}, nil
		}
		// The version was dropped between find and acquire: look again. A closed
		// version is in no later state, so this ends.
	}
}

// List describes every served version, by name and newest first.
func (c *Catalog) List() []*Info {
	var infos []*Info
	for _, versions := range c.state.Load().versions {
		for _, v := range versions {
			infos = append(infos, &v.info)
		}
	}
	slices.SortFunc(infos, func(a, b *Info) int {
		if a.Ref.Name != b.Ref.Name {
			return strings.Compare(a.Ref.Name, b.Ref.Name)
		}
		return b.Ref.Version.Compare(a.Ref.Version)
	})
	return infos
}

// Refused lists what is not served and why.
func (c *Catalog) Refused() []Refusal { return slices.Clone(c.state.Load().refused) }

// Remove stops serving one version, which Ref must pin, and waits until its last
// holder is done and it is closed. Errors: NotFound, Timeout (it is no longer
// served, but not yet closed), Internal when closing failed.
func (c *Catalog) Remove(ctx context.Context, ref Ref) error {
	v, err := c.drop(ref)
	if err != nil {
		return err
	}
	v.release()
	select {
	case <-v.drained:
	case <-ctx.Done():
		return v.error("remove", Timeout, context.Cause(ctx))
	}
	if v.closeErr != nil {
		return v.error("remove", Internal, v.closeErr)
	}
	return nil
}

func (c *Catalog) drop(ref Ref) (*version, error) {
	c.changes.Lock()
	defer c.changes.Unlock()
	s := c.state.Load()
	v := s.pinned(ref)
	if v == nil {
		return nil, s.missing(ref)
	}
	next := s.clone()
	next.remove(v)
	c.state.Store(next)
	return v, nil
}

// Close stops serving and closes every version once its last holder is done; it
// does not wait for them. The error joins those of versions closed by now.
func (c *Catalog) Close() error {
	c.changes.Lock()
	defer c.changes.Unlock()
	old := c.state.Swap(&state{})
	var errs []error
	for _, versions := range old.versions {
		errs = append(errs, closeAll(versions))
	}
	return errors.Join(errs...)
}

// closeAll gives up the catalog's own holds.
func closeAll(versions []*version) error {
	var errs []error
	for _, v := range versions {
		v.release()
		select {
		case <-v.drained:
			errs = append(errs, v.closeErr)
		default:
		}
	}
	return errors.Join(errs...)
}

func (s *state) clone() *state {
	next := &state{versions: make(map[string][]*version, len(s.versions)), refused: slices.Clone(s.refused), settings: s.settings}
	maps.Copy(next.versions, s.versions)
	return next
}

// remove takes a version out without touching the slice that an older state may
// hold.
func (s *state) remove(v *version) {
	name := v.info.Ref.Name
	s.versions[name] = slices.DeleteFunc(slices.Clone(s.versions[name]), func(w *version) bool { return w == v })
}

// insert adds a version to its name, newest first, without touching the slice
// that an older state may hold.
func (s *state) insert(v *version) {
	name := v.info.Ref.Name
	s.refused = slices.DeleteFunc(s.refused, func(o Refusal) bool { return o.Source == v.info.Source && o.Path == v.folder() })
	versions := append(slices.Clone(s.versions[name]), v)
	slices.SortFunc(versions, func(a, b *version) int { return b.info.Ref.Version.Compare(a.info.Ref.Version) })
	s.versions[name] = versions
}

// refuse records a refusal in place of an older one of the same folder.
func (s *state) refuse(r Refusal) {
	s.refused = slices.DeleteFunc(s.refused, func(o Refusal) bool { return o.Source == r.Source && o.Path == r.Path })
	s.refused = append(s.refused, r)
}

// find gives the pinned version; that of an alias; or else the champion, the
// newest release, or the newest pre-release when there is no release.
func (s *state) find(ref Ref) *version {
	switch ref.Version {
	case Champion, "":
		if v := s.pinned(Ref{ref.Name, s.settings.champion(ref.Name)}); v != nil {
			return v
		}
	case Challenger:
		return s.pinned(Ref{ref.Name, s.settings.Challengers[ref.Name]})
	default:
		return s.pinned(ref)
	}
	versions := s.versions[ref.Name]
	for _, v := range versions {
		if !v.info.Ref.Version.Prerelease() {
			return v
		}
	}
	if len(versions) > 0 {
		return versions[0]
	}
	return nil
}

func (s *state) pinned(ref Ref) *version {
	for _, v := range s.versions[ref.Name] {
		if v.info.Ref.Version == ref.Version {
			return v
		}
	}
	return nil
}

var errNotServed = errors.New("no such model is served")

// missing says why a Ref is not found.
func (s *state) missing(ref Ref) error {
	for _, r := range s.refused {
		if ref.Version != "" && r.Path == path.Join(ref.Name, string(ref.Version)) {
			return r.Err
		}
	}
	return &Error{Op: "find model", Kind: NotFound, Model: ref.String(), Err: errNotServed}
}
