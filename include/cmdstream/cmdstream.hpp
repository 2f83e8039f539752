/* SPDX-License-Identifier: MIT */
/*
 * cmdstream for C++17 and later: owners that release by themselves, messages by their type, and
 * lambdas with captures as callbacks. Header only, over the C headers, whose contracts hold; what they
 * offer and this does not is reached through raw().
 *
 * No exception is thrown, and none is needed: -fno-exceptions and -fno-rtti are fine. None may leave a
 * callback or an exec function either: the program ends then (std::terminate).
 *
 * Owners are empty, or hold one object; `if (owner)` tells. They can be moved, not copied. A runtime
 * has to outlive the servers and groups on it, so declare it before them.
 *
 * A callback with captures takes one allocation, when it is given; none if it has at most the size
 * of a pointer, is trivially copyable, and may be called as a const. There is none per result.
 */
#ifndef CMDSTREAM_CMDSTREAM_HPP
#define CMDSTREAM_CMDSTREAM_HPP

#include <cmdstream/cmdstream.h>
#include <cmdstream/message.hpp>

#include <cerrno>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <type_traits>
#include <utility>

namespace cmds
{

/* --- Runtime and server ----------------------------------------------------------------------- */

class runtime
{
  public:
    runtime() = default;
    /** cmds_runtime_start(); empty if it fails. */
    static runtime start(
            error &error, const cmds_runtime_options &options = CMDS_RUNTIME_OPTIONS_INIT) noexcept
    {
        runtime started;
        cmds_runtime *raw = nullptr;
        if (cmds_runtime_start(&raw, &options, error.fresh()) == 0) {
            started.raw_.reset(raw);
        }
        return started;
    }
    explicit operator bool() const noexcept
    {
        return raw_ != nullptr;
    }
    cmds_runtime *raw() const noexcept
    {
        return raw_.get();
    }
    /** Stops it now instead of at its end. */
    void stop() noexcept
    {
        raw_.reset();
    }
    /** cmds_runtime_post(): runs `fn` once on that shard. -ENOMEM also if `fn` found no memory. */
    template <class F> CMDS_NODISCARD int post(uint32_t shard, F &&fn)
    {
        using once = detail::once<std::decay_t<F>>;
        void *context = nullptr;
        if (!once::held::make(context, std::forward<F>(fn))) {
            return -ENOMEM;
        }
        const int code = cmds_runtime_post(raw_.get(), shard, once::run, context);
        if (code < 0) {
            once::held::drop(context);
        }
        return code;
    }

  private:
    struct deleter {
        void operator()(cmds_runtime *runtime) const noexcept
        {
            cmds_runtime_stop(runtime);
        }
    };
    std::unique_ptr<cmds_runtime, deleter> raw_;
};

class server
{
  public:
    server() = default;
    /** cmds_server_start(); empty if it fails. */
    static server start(
            error &error, const runtime &runtime, const cmds_server_options &options) noexcept
    {
        server started;
        cmds_server *raw = nullptr;
        if (cmds_server_start(&raw, runtime.raw(), &options, error.fresh()) == 0) {
            started.raw_.reset(raw);
        }
        return started;
    }
    explicit operator bool() const noexcept
    {
        return raw_ != nullptr;
    }
    cmds_server *raw() const noexcept
    {
        return raw_.get();
    }
    /** cmds_server_shutdown(): drains. */
    CMDS_NODISCARD int shutdown(uint32_t timeout_ms) noexcept
    {
        return cmds_server_shutdown(raw_.get(), timeout_ms);
    }
    /** Closes it now instead of at its end. */
    void close() noexcept
    {
        raw_.reset();
    }

  private:
    struct deleter {
        void operator()(cmds_server *server) const noexcept
        {
            cmds_server_close(server);
        }
    };
    std::unique_ptr<cmds_server, deleter> raw_;
};

/* --- Exec functions --------------------------------------------------------------------------- */

namespace detail
{
template <class T> struct exec_signature {
    static_assert(!std::is_same_v<T, T>,
            "an exec function is int (cmds_call *, const COMMAND &), or the same with a pointer");
};
template <class T> struct exec_signature<int (*)(cmds_call *, const T *)> {
    using command = T;
    template <int (*F)(cmds_call *, const T *)>
    static int run(cmds_any_fn, cmds_call *call, const void *value) noexcept
    {
        return F(call, static_cast<const T *>(value));
    }
};
template <class T> struct exec_signature<int (*)(cmds_call *, const T &)> {
    using command = T;
    template <int (*F)(cmds_call *, const T &)>
    static int run(cmds_any_fn, cmds_call *call, const void *value) noexcept
    {
        return F(call, *static_cast<const T *>(value));
    }
};
template <class S, class T> struct exec_signature<int (S::*)(cmds_call *, const T &)> {
    using command = T;
    template <int (S::*F)(cmds_call *, const T &)>
    static int run(cmds_any_fn, cmds_call *call, const void *value) noexcept
    {
        S *self = static_cast<S *>(cmds_call_receiver(call));
        return (self->*F)(call, *static_cast<const T *>(value));
    }
};
template <class S, class T> struct exec_signature<int (S::*)(cmds_call *, const T &) const> {
    using command = T;
    template <int (S::*F)(cmds_call *, const T &) const>
    static int run(cmds_any_fn, cmds_call *call, const void *value) noexcept
    {
        const S *self = static_cast<const S *>(cmds_call_receiver(call));
        return (self->*F)(call, *static_cast<const T *>(value));
    }
};
/* None may throw anyway. */
template <class T>
struct exec_signature<int (*)(cmds_call *, const T *) noexcept>
    : exec_signature<int (*)(cmds_call *, const T *)> {
};
template <class T>
struct exec_signature<int (*)(cmds_call *, const T &) noexcept>
    : exec_signature<int (*)(cmds_call *, const T &)> {
};
template <class S, class T>
struct exec_signature<int (S::*)(cmds_call *, const T &) noexcept>
    : exec_signature<int (S::*)(cmds_call *, const T &)> {
};
template <class S, class T>
struct exec_signature<int (S::*)(cmds_call *, const T &) const noexcept>
    : exec_signature<int (S::*)(cmds_call *, const T &) const> {
};
template <auto F> constexpr cmds_exec exec_row(uint32_t flags) noexcept
{
    using signature = exec_signature<decltype(F)>;
    return cmds_exec{command_type<typename signature::command>::get(), nullptr,
            &signature::template run<F>, flags, 0};
}
} // namespace detail

/**
 * A row of the exec table from a function, which says by its second parameter what it executes:
 * int add(cmds_call *, const calc_add &): cmds::exec<add>(). Of a member function,
 * cmds::exec<&service::add>(), the server's `receiver` is the object: a `service *`, which all shards
 * call at once.
 */
template <auto F> constexpr cmds_exec exec() noexcept
{
    return detail::exec_row<F>(0);
}
/** As CMDS_EXEC_IN_POOL. */
template <auto F> constexpr cmds_exec exec_in_pool() noexcept
{
    return detail::exec_row<F>(CMDS_EXEC_POOL_);
}

/** cmds_call_send(). */
template <class T> CMDS_NODISCARD int send(cmds_call *call, const T &value) noexcept
{
    return cmds_call_send(call, result_message(value));
}

/** A counted reference to a call: cmds_call_ref() and cmds_call_unref(). May be copied. */
class call
{
  public:
    call() = default;
    explicit call(cmds_call *raw) noexcept : raw_(raw == nullptr ? nullptr : cmds_call_ref(raw))
    {
    }
    call(const call &other) noexcept : call(other.raw_)
    {
    }
    call(call &&other) noexcept : raw_(std::exchange(other.raw_, nullptr))
    {
    }
    call &operator=(call other) noexcept
    {
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~call()
    {
        cmds_call_unref(raw_);
    }
    explicit operator bool() const noexcept
    {
        return raw_ != nullptr;
    }
    cmds_call *raw() const noexcept
    {
        return raw_;
    }
    /** The command, if it is a T and was kept (cmds_call_keep_command()); else NULL. */
    template <class T> const T *get() const noexcept
    {
        return static_cast<const T *>(cmds_call_value(raw_, command_type<T>::get()));
    }
    template <class T> CMDS_NODISCARD int send(const T &value) const noexcept
    {
        return cmds::send(raw_, value);
    }
    void fail(int code, const char *text = nullptr) const noexcept
    {
        cmds_call_fail(raw_, code, text);
    }
    bool is_cancelled() const noexcept
    {
        return cmds_call_is_cancelled(raw_);
    }

  private:
    cmds_call *raw_ = nullptr;
};

/* --- Group and sender ------------------------------------------------------------------------- */

/**
 * cmds_group_send(). `on_result(cmds::result_view)` runs as the callback there, and is destroyed after the
 * result with `last`; at once if this fails, or the command is one-way. -ENOMEM also if it found no
 * memory. For groups that are held as in C: opened in on_start, or by cmds_test_group_open().
 */
template <class T, class F>
CMDS_NODISCARD int send(
        cmds_group *group, const T &value, F &&on_result, const cmds_send_options *how = nullptr)
{
    using handler = detail::on_result<std::decay_t<F>>;
    void *context = nullptr;
    if (!handler::held::make(context, std::forward<F>(on_result))) {
        return -ENOMEM;
    }
    const cmds_message message = command(value);
    const int code = cmds_group_send(group, message, how, handler::run, context);
    if (code < 0 || message.type->one_way != 0) {
        handler::held::drop(context);
    }
    return code;
}
/**
 * cmds_group_forward(): the same for the sake of a call, which `on_result(cmds_call *,
 * cmds::result_view)` gets, always on the call's shard.
 */
template <class T, class F>
CMDS_NODISCARD int forward(cmds_group *group, const T &value, cmds_call *call, F &&on_result,
        const cmds_send_options *how = nullptr)
{
    using handler = detail::on_forward<std::decay_t<F>>;
    void *context = nullptr;
    if (!handler::held::make(context, std::forward<F>(on_result))) {
        return -ENOMEM;
    }
    const int code = cmds_group_forward(group, command(value), how, call, handler::run, context);
    if (code < 0) {
        handler::held::drop(context);
    }
    return code;
}

/**
 * A group that closes at its end, and then waits until its last callback has returned, so that what
 * callbacks captured by reference may end after it: about a second at most. Where it cannot wait it does
 * not: on a shard of its runtime, on a thread that may not turn an inline one, in a forked child.
 */
class group
{
  public:
    group() = default;
    group(group &&other) noexcept
        : raw_(std::exchange(other.raw_, nullptr)), runtime_(std::exchange(other.runtime_, nullptr))
    {
    }
    group &operator=(group &&other) noexcept
    {
        group old(std::move(*this));
        raw_ = std::exchange(other.raw_, nullptr);
        runtime_ = std::exchange(other.runtime_, nullptr);
        return *this;
    }
    ~group()
    {
        close();
    }
    /** cmds_group_open(); empty if it fails. */
    static group open(
            error &error, const runtime &runtime, const cmds_group_options &options) noexcept
    {
        return open(error, runtime.raw(), options);
    }
    /** On one that is not ours: that of cmds_main_options.on_start. It has to outlive the group. */
    static group open(
            error &error, cmds_runtime *runtime, const cmds_group_options &options) noexcept
    {
        group opened;
        if (cmds_group_open(&opened.raw_, runtime, &options, error.fresh()) == 0) {
            opened.runtime_ = runtime;
            cmds_group_ref(opened.raw_); // Should the runtime stop first.
        } else {
            opened.raw_ = nullptr;
        }
        return opened;
    }
    explicit operator bool() const noexcept
    {
        return raw_ != nullptr;
    }
    cmds_group *raw() const noexcept
    {
        return raw_;
    }
    /** cmds::send() on it. */
    template <class T, class F>
    CMDS_NODISCARD int send(
            const T &value, F &&on_result, const cmds_send_options *how = nullptr) const
    {
        return cmds::send(raw_, value, std::forward<F>(on_result), how);
    }
    /** One whose result nobody looks at. */
    template <class T> CMDS_NODISCARD int send(const T &value) const noexcept
    {
        return cmds_group_send(raw_, command(value), nullptr, nullptr, nullptr);
    }
    CMDS_NODISCARD int wait(uint32_t timeout_ms, error &error) const noexcept
    {
        return cmds_group_wait(raw_, timeout_ms, error.fresh());
    }
    CMDS_NODISCARD int drain(uint32_t timeout_ms) const noexcept
    {
        return cmds_group_drain(raw_, timeout_ms);
    }
    /** Closes it now instead of at its end. */
    void close() noexcept
    {
        if (raw_ == nullptr) {
            return;
        }
        cmds_group *raw = std::exchange(raw_, nullptr);
        const int code = cmds_group_drain(raw, 0);
        if (code == -EDEADLK || code == -EXDEV || code == CMDS_E_FORKED) {
            cmds_group_close(raw, nullptr, nullptr); // Who would tell us cannot run while we wait.
        } else if (end_of_group *end = new (std::nothrow) end_of_group) {
            cmds_group_close(raw, closed, end);
            if (wait(*end)) {
                delete end;
            }
        } else {
            cmds_group_close(raw, nullptr, nullptr);
        }
        cmds_group_unref(raw);
    }

  private:
    static constexpr uint32_t turn_us = 10000;
    struct end_of_group {
        std::mutex mutex;
        std::condition_variable over;
        size_t is_over = 0; // 1 when it is; of this size, so that no hole follows.
    };
    static bool is_over(end_of_group &end)
    {
        const std::lock_guard<std::mutex> lock(end.mutex);
        return end.is_over != 0;
    }
    /* Returns: it has ended. Else its last callback is still to come, whoever turns the runtime then. */
    bool wait(end_of_group &end)
    {
        if (is_over(end)) {
            return true; // The runtime may have stopped long ago.
        }
        if (cmds_runtime_fd(runtime_) >= 0) {
            while (!is_over(end) && cmds_runtime_turn(runtime_, turn_us) >= 0) {
            }
        } else {
            std::unique_lock<std::mutex> lock(end.mutex);
            end.over.wait(lock, [&end] { return end.is_over != 0; });
        }
        return is_over(end);
    }
    static void closed(void *context)
    {
        end_of_group *waiting = static_cast<end_of_group *>(context);
        // Told under the lock: what waits ends with the wait.
        const std::lock_guard<std::mutex> lock(waiting->mutex);
        waiting->is_over = 1;
        waiting->over.notify_one();
    }

    cmds_group *raw_ = nullptr;
    cmds_runtime *runtime_ = nullptr;
};

/** A sender that closes at its end, and gives what is in flight a second. */
class sender
{
  public:
    sender() = default;
    /** cmds_sender_open(); empty if it fails. */
    static sender open(error &error, const cmds_sender_options &options) noexcept
    {
        sender opened;
        cmds_sender *raw = nullptr;
        if (cmds_sender_open(&raw, &options, error.fresh()) == 0) {
            opened.raw_.reset(raw);
        }
        return opened;
    }
    explicit operator bool() const noexcept
    {
        return raw_ != nullptr;
    }
    cmds_sender *raw() const noexcept
    {
        return raw_.get();
    }
    /** cmds_sender_send(): waits for the only result. Empty if it fails; `error` says why. */
    template <class T>
    result send(const T &value, error &error, uint32_t timeout_ms = 0) const noexcept
    {
        cmds_result *raw = nullptr;
        (void)cmds_sender_send(raw_.get(), command(value), timeout_ms, &raw, error.fresh());
        return result(raw);
    }
    /**
     * cmds_sender_send_multi(): `each(cmds::result_view)` runs on this thread for every result. It
     * returns nothing, or an int: not 0 ends it.
     */
    template <class T, class F>
    CMDS_NODISCARD int send_multi(
            const T &value, error &error, F &&each, uint32_t timeout_ms = 0) const
    {
        using handler = detail::on_each<std::remove_reference_t<F>>;
        return cmds_sender_send_multi(raw_.get(), command(value), timeout_ms, error.fresh(),
                handler::run, const_cast<void *>(static_cast<const void *>(std::addressof(each))));
    }
    /** Closes it now; see cmds_sender_close(). */
    void close(uint32_t timeout_ms) noexcept
    {
        cmds_sender_close(raw_.release(), timeout_ms);
    }

  private:
    struct deleter {
        void operator()(cmds_sender *sender) const noexcept
        {
            cmds_sender_close(sender, 1000);
        }
    };
    std::unique_ptr<cmds_sender, deleter> raw_;
};

} // namespace cmds

#endif
