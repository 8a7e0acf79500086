"""Training: the arena that steps run in, and the team of threads that runs them."""

cdef enum:  # what a training's team of threads is doing
    FORMING
    COMPLETE
    DISBANDED

cdef enum:  # what a member of it is doing
    AWAY     # no thread is here
    STARTED  # a thread is on its way
    CALLED   # to take part in the stretch that runs
    RESTING  # waiting a hundred microseconds or so for the next one
    PLACE = 16  # an int in each cache line: no neighbours


cdef char *place(char *start, Py_ssize_t *used, Py_ssize_t size) noexcept:
    """The address of the next `size` bytes, rounded up to whole cache lines of 64."""
    cdef char *address = NULL if start == NULL else start + used[0]
    used[0] += round_up(size, 64)
    return address


cdef Py_ssize_t lay_out_block(
    training_t *c, char *start, Py_ssize_t used, Py_ssize_t itemsize
) noexcept:
    """Addresses of a block of samples and what the layers make of it; returns the bytes used."""
    cdef Py_ssize_t count
    cdef dense_t *layer
    cdef int l
    c.x = place(start, &used, c.block * c.net.layers[0].n_inputs * itemsize)
    c.y = place(start, &used, c.block * c.net.layers[c.net.n_layers - 1].n_outputs * itemsize)
    c.labels = <int64_t *> place(start, &used, c.block * sizeof(int64_t))
    c.weight = place(start, &used, c.block * itemsize)
    c.losses = <double *> place(start, &used, c.block * sizeof(double))
    for l in range(c.net.n_layers):
        layer = &c.net.layers[l]
        count = c.block * layer.n_outputs * itemsize
        layer.a = place(start, &used, count)
        layer.z = place(start, &used, count) if keeps_z(&c.net, l) else layer.a
        layer.delta = place(start, &used, count)
    return used


cdef class Training:
    """A network with its loss, penalties and optimiser, laid out to run many steps in one call.

    One arena holds a block of activations for every group of threads, and a
    gradient for every slice of a batch; nothing is allocated after the constructor.
    """

    cdef training_t *members   # one for each thread
    cdef training_t *blocks    # one for each group of threads: its arrays for a block of samples
    cdef int groups            # at most
    cdef readonly int threads  # at most
    cdef int team              # threads that take part in the stretch
    cdef barrier_t barrier
    cdef barrier_t barriers[SLICES]
    cdef double slice_losses[SLICES]
    cdef double *largest
    cdef bint *finite_shares
    cdef stretch_t stretch
    cdef int state            # of the team: see FORMING
    cdef int *places          # of its members: see AWAY
    cdef int processor        # that the first of them runs on, or -1
    cdef object process       # that they live in
    cdef Network network
    cdef object arena, keep
    cdef int64_t *counter
    cdef bint busy
    cdef bint in_blocks       # some batch's slices are several blocks
    cdef Py_ssize_t columns   # bytes of the first layer's W by columns
    cdef readonly double loss_sum, weight_sum
    cdef readonly bint finite  # what the last stretch looked at
    cdef readonly dict rule   # of the optimiser
    cdef readonly object first  # its first state vector, or None

    def __cinit__(self, Network network, cnp.ndarray parameters, cnp.ndarray gradient, dict rule,
                  first, second, cnp.ndarray counter, Py_ssize_t batch_size, double l1, double l2,
                  double clip_norm, int threads=1, double largest_loss=float("inf")):
        cdef Py_ssize_t itemsize = cnp.PyArray_ITEMSIZE(parameters), longest
        cdef int n_layers = network.c.n_layers, k
        cdef training_t *c
        network.collect()
        self.network = network
        self.keep = (parameters, gradient, first, second, counter)
        self.counter = <int64_t *> data(counter)
        self.threads = team_size(&network.c, batch_size, threads)
        self.groups = min(slice_count(&network.c, batch_size), self.threads)
        self.members = <training_t *> malloc(
            (self.threads + self.groups) * (sizeof(training_t) + n_layers * sizeof(dense_t)))
        if self.members == NULL:
            raise MemoryError()
        self.blocks = self.members + self.threads
        self.largest = <double *> malloc(self.threads * sizeof(double))
        if self.largest == NULL:
            raise MemoryError()
        self.finite_shares = <bint *> malloc(self.threads * sizeof(bint))
        if self.finite_shares == NULL:
            raise MemoryError()
        self.places = <int *> calloc(self.threads * PLACE, sizeof(int))
        if self.places == NULL:
            raise MemoryError()
        self.process = os.getpid()
        c = self.members
        c.rule = rule_of(rule)
        self.rule, self.first = rule, first
        c.n_parameters = cnp.PyArray_SIZE(parameters)
        c.parameters, c.gradient = data(parameters), data(gradient)
        c.first = NULL if first is None else data(first)
        c.second = NULL if second is None else data(second)
        c.l1, c.l2, c.clip_norm = l1, l2, clip_norm
        c.net = network.c
        c.net.largest_loss = largest_loss
        c.most_slices = slice_count(&c.net, batch_size)
        longest = ceil_div(batch_size, c.most_slices)
        c.block = block_rows(&c.net, longest, itemsize)
        self.in_blocks = longest > c.block
        c.barriers, c.slice_losses, c.largest = self.barriers, self.slice_losses, self.largest
        c.finite = self.finite_shares
        c.blocks, c.block_of, c.planned_for = self.blocks, -1, 0
        c.narrow, c.narrow_size = NULL, narrow_size(c, batch_size, itemsize)
        self.columns = column_bytes(c, batch_size, itemsize)
        for k in range(self.threads + self.groups):
            self.members[k] = c[0]
            self.members[k].net.layers = <dense_t *> (self.blocks + self.groups) + k * n_layers
            memcpy(self.members[k].net.layers, network.c.layers, n_layers * sizeof(dense_t))
        # Counted first, then handed out, by the same walk.
        # Zeros: the lanes that fill up a last vector hold numbers, not noise.
        self.arena = aligned_bytes(self.lay_out(NULL, itemsize))
        self.lay_out(<char *> data(self.arena), itemsize)

    def __dealloc__(self):
        free(self.members)
        free(self.largest)
        free(self.finite_shares)
        free(self.places)

    cdef Py_ssize_t lay_out(self, char *start, Py_ssize_t itemsize) noexcept:
        """Addresses for a block of everything from `start` on; returns the bytes it takes."""
        cdef training_t *c = self.members
        cdef Py_ssize_t used = 0, work = 0, panels = 0, size
        cdef void *gradients
        cdef void *room
        cdef void *V
        cdef int l, k
        for l in range(c.net.n_layers):
            size = (work_size(&c.net.layers[l], <float *> NULL) if itemsize == sizeof(float)
                    else work_size(&c.net.layers[l], <double *> NULL))
            work = max(work, size)
            panels += (panel_bytes(&c.net.layers[l], <float *> NULL) if itemsize == sizeof(float)
                       else panel_bytes(&c.net.layers[l], <double *> NULL))
        if panels > PANEL_BYTES or not self.in_blocks:
            panels = 0
        gradients = place(start, &used, (c.most_slices - 1) * c.n_parameters * itemsize)
        for k in range(self.groups):
            used = lay_out_block(&self.blocks[k], start, used, itemsize)
        if c.narrow_size > 0:
            c.narrow = <narrow_t *> place(start, &used, c.net.n_layers * sizeof(narrow_t))
            c.vectors = place(start, &used, narrow_room(c, itemsize) * itemsize)
            lay_out_narrow(c.narrow, &c.net, itemsize)
        V = place(start, &used, self.columns) if self.columns > 0 else NULL
        for k in range(self.threads):
            c = &self.members[k]
            c.gradients, c.V = gradients, V
            room = place(start, &used, work * itemsize) if work > 0 else NULL
            c.panels = place(start, &used, panels) if panels > 0 else NULL
            for l in range(c.net.n_layers):
                c.net.layers[l].work = room
                c.net.layers[l].panels = c.net.layers[l].V = NULL
                c.net.layers[l].in_V, c.net.layers[l].ahead.X = False, NULL
                c.net.layers[l].da = NULL
                if derivative_takes_z(c.net.layers[l].activation):
                    c.net.layers[l].derivative = GIVEN
        return used

    def run(self, cnp.ndarray X, y, labels, weight, order, Py_ssize_t batch_size,
            Py_ssize_t start, Py_ssize_t stop, cnp.ndarray learning_rates, int threads=1,
            start_thread=None, bint calm=False, Snapshot take=None, Snapshot look=None):
        """Steps start … stop - 1 of an epoch over validated arrays; returns the step it got to.

        `learning_rates` holds one for each step of the epoch, or one for all.
        A step whose loss is not finite updates nothing and ends the run there; if only `calm` ones
        are wanted, so does a step that could make a weight or the state overflow.
        A snapshot is taken before the first step, and after the last one is asked whether all is
        finite: `finite` is the answer, True if there is no `look`.
        `loss_sum` and `weight_sum` add up Σ w C and Σ w over the steps done.
        With threads > 1, at most `self.threads`, `start_thread` is called with `join` and an index
        1, 2, … for each of the others; it makes a thread call it, and returns a future.
        """
        cdef stretch_t *stretch = &self.stretch
        cdef member_t me
        cdef Py_ssize_t step
        cdef int k
        cdef double loss_sum = self.loss_sum, weight_sum = self.weight_sum
        self.acquire()
        stretch.X = data(X)
        stretch.Y = NULL if y is None else data(y)
        stretch.labels = NULL if labels is None else <int64_t *> data(labels)
        stretch.weight = NULL if weight is None else data(weight)
        stretch.order = NULL if order is None else <int64_t *> data(order)
        stretch.samples, stretch.batch_size = cnp.PyArray_DIM(X, 0), batch_size
        stretch.start, stretch.stop = start, stop
        stretch.learning_rates = <double *> data(learning_rates)
        stretch.one_rate = cnp.PyArray_SIZE(learning_rates) == 1
        stretch.counter = self.counter[0]
        stretch.guard = CALM_ONLY if calm else UNGUARDED
        stretch.take = NULL if take is None else &take.kept
        stretch.look = NULL if look is None else &look.kept
        self.team = threads
        me.index, me.threads, me.barrier = 0, threads, &self.barrier
        if threads > 1:
            self.form_team(start_thread)
        if take is not None:
            take.steps = self.counter[0]
        with nogil:
            step = self.take_part(&me, &loss_sum, &weight_sum)
        self.counter[0] += step - start
        self.finite = True
        for k in range(threads if look is not None else 0):
            self.finite &= self.finite_shares[k]
        self.loss_sum, self.weight_sum = loss_sum, weight_sum
        self.busy = False
        return step

    cdef int form_team(self, start_thread) except -1:
        """Call those who rest, and start the others; if that is interrupted, send home who came."""
        cdef int index
        cdef int *place
        others = []
        if self.process != os.getpid():  # a fork takes no thread along
            self.process = os.getpid()
            for index in range(self.threads):
                self.places[index * PLACE] = AWAY
        self.processor = this_processor()
        set_flag(&self.state, FORMING)
        try:
            for index in range(1, self.team):
                place = &self.places[index * PLACE]
                wait_while(place, CALLED)  # to the last stretch, whose end it has yet to leave
                if not set_flag_if(place, RESTING, CALLED):
                    set_flag(place, STARTED)
                    others.append(start_thread(self.join, index))
            with nogil:
                for index in range(1, self.team):
                    wait_while(&self.places[index * PLACE], STARTED)
            set_flag(&self.state, COMPLETE)
        except BaseException:
            set_flag(&self.state, DISBANDED)
            for other in others:
                other.result()
            for index in range(1, self.team):
                set_flag_if(&self.places[index * PLACE], STARTED, AWAY)  # not even started
                wait_while(&self.places[index * PLACE], CALLED)
            self.busy = False
            raise
        return 0

    def join(self, int index):
        """Take part in the stretch that runs, as member `index` of the team, and in those that
        follow it closely: to be called is faster than to be started."""
        cdef member_t me
        cdef double ignored = 0
        cdef int *place = &self.places[index * PLACE]
        me.index, me.barrier = index, &self.barrier
        with nogil:
            if this_processor() == self.processor:
                leave_processor(self.processor)
            set_flag(place, CALLED)
            while wait_while(&self.state, FORMING) == COMPLETE:
                me.threads = self.team
                self.take_part(&me, &ignored, &ignored)
                set_flag(place, RESTING)
                if wait_briefly(place, RESTING) != CALLED and set_flag_if(place, RESTING, AWAY):
                    break
            else:
                set_flag(place, AWAY)

    cdef Py_ssize_t take_part(
        self, const member_t *me, double *loss_sum, double *weight_sum
    ) noexcept nogil:
        if self.network.typenum == cnp.NPY_FLOAT:
            return run_stretch(&self.members[me.index], &self.stretch,
                               <const float *> self.stretch.X, me, loss_sum, weight_sum)
        return run_stretch(&self.members[me.index], &self.stretch,
                           <const double *> self.stretch.X, me, loss_sum, weight_sum)

    cdef int acquire(self) except -1:
        if self.busy:
            raise RuntimeError("the trainer is in use by another thread: give each thread one of "
                               "its own")
        self.busy = True
        return 0

    def team_size(self, Py_ssize_t batch_size):
        """Threads that pay for steps of this size, at most as many as there is room for."""
        return team_size(&self.members.net, batch_size, self.threads)

    def watch(self, bint watched):
        """From now on, end a run at a step whose X is not finite, or no longer.

        Only where X is wider than NARROW_INPUTS or batches larger than NARROW_SAMPLES: a narrow
        network does not look.
        """
        cdef int k
        for k in range(self.threads):
            self.members[k].net.layers[0].watched = watched
            self.members[k].net.layers[0].unclean = False

    def reset_loss(self):
        """Start the sums of a new epoch."""
        self.loss_sum = self.weight_sum = 0

    def step(self, X, Y, sample_weight, double learning_rate, bint careful):
        """One step on one batch: C, and whether the update was done.

        It is not where C is not finite, or the update could overflow or
        `careful` is True; the gradient then stands in the network's vector.
        """
        cdef Network net = self.network
        cdef cnp.ndarray x = samples_of(X, net.n_inputs, net.typenum, "X", "this network takes")
        cdef Py_ssize_t n = rows_of(x)
        y, labels = net.targets(Y, n, cnp.PyArray_NDIM(x) == 1)
        weight = weights_of(sample_weight, n, net.typenum)
        cdef stretch_t batch
        cdef member_t me
        cdef int typenum = net.typenum
        cdef int guard = NO_UPDATE if careful else CALM_ONLY
        cdef double C, total = 0
        cdef bint updated = True
        batch.X = data(x)
        batch.Y = NULL if y is None else data(y)
        batch.labels = NULL if labels is None else <int64_t *> data(labels)
        batch.weight = NULL if weight is None else data(weight)
        batch.order = NULL
        me.index, me.threads, me.barrier = 0, 1, &self.barrier
        self.acquire()
        self.members.penalties = NAN
        with nogil:
            if typenum == cnp.NPY_FLOAT:
                C = single_step(self.members, &batch, <const float *> batch.X, &me, n,
                                learning_rate, self.counter[0], guard, &total, &updated)
            else:
                C = single_step(self.members, &batch, <const double *> batch.X, &me, n,
                                learning_rate, self.counter[0], guard, &total, &updated)
        self.counter[0] += updated
        self.busy = False
        return C, updated
