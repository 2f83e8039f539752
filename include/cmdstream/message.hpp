/* SPDX-License-Identifier: MIT */
/*
 * The part of cmdstream.hpp that is about values: types by their structs, strings and arrays, errors,
 * results, and callables behind the pointers of C.
 */
#ifndef CMDSTREAM_MESSAGE_HPP
#define CMDSTREAM_MESSAGE_HPP

#include <cmdstream/client.h>

#include <cstring>
#include <iterator>
#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

namespace cmds
{

/* --- Types by their structs ------------------------------------------------------------------- */

/**
 * The descriptor of a command's struct. The macros of schema.h say it; for a type made otherwise, as
 * those of codec_protobuf.h, write CMDS_CPP_COMMAND(Calc__Add, calc_add).
 */
template <class T> struct command_type {
    static constexpr const cmds_type *get() noexcept
    {
        return cmds_command_type_(static_cast<const T *>(nullptr));
    }
};
/** The same for results: CMDS_CPP_RESULT. */
template <class T> struct result_type {
    static constexpr const cmds_type *get() noexcept
    {
        return cmds_result_type_(static_cast<const T *>(nullptr));
    }
};

/** What the functions in C take. The value is borrowed, as there. A ready message passes through. */
template <class T> constexpr cmds_message command(const T &value) noexcept
{
    return cmds_message{command_type<T>::get(), &value};
}
constexpr cmds_message command(const cmds_message &message) noexcept
{
    return message;
}
template <class T> constexpr cmds_message result_message(const T &value) noexcept
{
    return cmds_message{result_type<T>::get(), &value};
}
constexpr cmds_message result_message(const cmds_message &message) noexcept
{
    return message;
}

/* --- Strings, arrays, optionals --------------------------------------------------------------- */

constexpr std::string_view view(const cmds_string &text) noexcept
{
    return {text.data, text.size};
}
/** Borrows: what `text` views has to live until the message was sent. */
constexpr cmds_string borrow(std::string_view text) noexcept
{
    return {text.data(), text.size()};
}

template <class T> class range
{
  public:
    constexpr range(const T *items, size_t count) noexcept : items_(items), count_(count)
    {
    }
    constexpr const T *begin() const noexcept
    {
        return items_;
    }
    constexpr const T *end() const noexcept
    {
        return items_ + count_;
    }
    constexpr const T *data() const noexcept
    {
        return items_;
    }
    constexpr size_t size() const noexcept
    {
        return count_;
    }
    constexpr bool empty() const noexcept
    {
        return count_ == 0;
    }
    constexpr const T &operator[](size_t index) const noexcept
    {
        return items_[index];
    }

  private:
    const T *items_;
    size_t count_;
};

/** for (const shop_item &item : cmds::items(order.items)): of CMDS_ARRAY_OF, and of a cmds_map. */
template <class Array> constexpr auto items(const Array &array) noexcept
{
    using T = std::remove_const_t<std::remove_pointer_t<decltype(array.items)>>;
    return range<T>(array.items, static_cast<size_t>(array.count));
}
/** Has an array of a message point to what a container holds: it is borrowed until that is sent. */
template <class Array, class Container>
constexpr void borrow_items(Array &array, const Container &container) noexcept
{
    array.items = std::data(container);
    array.count = static_cast<decltype(array.count)>(std::size(container));
}
/** The value of a CMDS_OPTIONAL_OF, or NULL if it is absent. */
template <class Optional> constexpr auto get_if(const Optional &optional) noexcept
{
    return optional.has ? &optional.value : nullptr;
}

/* --- Errors ----------------------------------------------------------------------------------- */

/** What failed: true if something did. Each function that takes one forgets what it said before. */
class error
{
  public:
    explicit operator bool() const noexcept
    {
        return raw_.code < 0;
    }
    int code() const noexcept
    {
        return raw_.code;
    }
    const char *text() const noexcept
    {
        return raw_.text;
    }
    const cmds_error &raw() const noexcept
    {
        return raw_;
    }
    /** Emptied, for a function in C. */
    cmds_error *fresh() noexcept
    {
        raw_ = cmds_error{};
        return &raw_;
    }

  private:
    cmds_error raw_{};
};

/* --- Results ---------------------------------------------------------------------------------- */

namespace detail
{
struct result_deleter {
    void operator()(cmds_result *result) const noexcept
    {
        cmds_result_free(result);
    }
};
} // namespace detail

/** What a result callback gets: borrowed until it returns. */
class result_view
{
  public:
    constexpr explicit result_view(const cmds_result *raw) noexcept : raw_(raw)
    {
    }
    /** The value, if it is a T; otherwise NULL, and cause() says why. */
    template <class T> const T *get() const noexcept
    {
        return static_cast<const T *>(cmds_result_value(raw_, result_type<T>::get()));
    }
    /** Is it a result, and not an end without one? */
    explicit operator bool() const noexcept
    {
        return raw_ != nullptr && raw_->error == 0;
    }
    bool last() const noexcept
    {
        return raw_ == nullptr || raw_->last;
    }
    /** As cmds_result_cause(). */
    int cause() const noexcept
    {
        return cmds_result_cause(raw_);
    }
    /** Why there is none, in a sentence; "" of a result. */
    const char *text() const noexcept
    {
        return raw_ == nullptr ? "" : raw_->text;
    }
    const cmds_result *raw() const noexcept
    {
        return raw_;
    }

  private:
    const cmds_result *raw_;
};

/** One that is owned. */
class result
{
  public:
    result() = default;
    /** Takes it. */
    explicit result(cmds_result *raw) noexcept : raw_(raw)
    {
    }
    /** A copy; empty without memory. */
    explicit result(result_view view) noexcept : raw_(cmds_result_copy(view.raw()))
    {
    }
    operator result_view() const noexcept
    {
        return result_view(raw_.get());
    }
    template <class T> const T *get() const noexcept
    {
        return result_view(*this).get<T>();
    }
    explicit operator bool() const noexcept
    {
        return static_cast<bool>(result_view(*this));
    }
    int cause() const noexcept
    {
        return result_view(*this).cause();
    }
    const cmds_result *raw() const noexcept
    {
        return raw_.get();
    }

  private:
    std::unique_ptr<cmds_result, detail::result_deleter> raw_;
};

/* --- Callbacks -------------------------------------------------------------------------------- */

namespace detail
{
/*
 * A callable behind a `void *`: within the pointer itself where that is the same, else allocated. One
 * that changes itself (`mutable`) cannot lie in the pointer, which the library hands over by value.
 */
template <class F, class... Args> class box
{
    static_assert(std::is_invocable_v<F &, Args...>, "it is not called with these arguments");
    static constexpr bool is_small = sizeof(F) <= sizeof(void *) && alignof(F) <= alignof(void *) &&
                                     std::is_trivially_copyable_v<F> &&
                                     std::is_invocable_v<const F &, Args...>;

  public:
    template <class G> static bool make(void *&context, G &&callable)
    {
        context = nullptr;
        if constexpr (is_small) {
            F copy(std::forward<G>(callable));
            std::memcpy(&context, &copy, sizeof(copy));
            return true;
        } else {
            context = new (std::nothrow) F(std::forward<G>(callable));
            return context != nullptr;
        }
    }
    static void drop(void *context) noexcept
    {
        if constexpr (!is_small) {
            delete static_cast<F *>(context);
        }
    }
    static auto call(void *context, Args... args)
    {
        if constexpr (is_small) {
            alignas(F) unsigned char place[sizeof(F)];
            std::memcpy(place, &context, sizeof(F));
            return (*std::launder(reinterpret_cast<const F *>(place)))(args...);
        } else {
            return (*static_cast<F *>(context))(args...);
        }
    }
};

template <class F> struct on_result {
    using held = box<F, result_view>;
    static void run(void *context, const cmds_result *result) noexcept
    {
        const bool is_last = result->last; // Whatever becomes of it in there.
        held::call(context, result_view(result));
        if (is_last) {
            held::drop(context);
        }
    }
};

template <class F> struct on_forward {
    using held = box<F, cmds_call *, result_view>;
    static void run(cmds_call *call, void *context, const cmds_result *result) noexcept
    {
        const bool is_last = result->last;
        held::call(context, call, result_view(result));
        if (is_last) {
            held::drop(context);
        }
    }
};

template <class F> struct once {
    using held = box<F>;
    static void run(void *context) noexcept
    {
        held::call(context);
        held::drop(context);
    }
};

/* On the caller's thread, for as long as the caller waits: nothing is copied. */
template <class F> struct on_each {
    static int run(void *context, const cmds_result *result) noexcept
    {
        F &each = *static_cast<F *>(context);
        if constexpr (std::is_void_v<std::invoke_result_t<F &, result_view>>) {
            each(result_view(result));
            return 0;
        } else {
            return each(result_view(result));
        }
    }
};
} // namespace detail

} // namespace cmds

#define CMDS_CPP_COMMAND(T, tag)                                                                   \
    template <> struct cmds::command_type<T> {                                                     \
        static constexpr const cmds_type *get() noexcept                                           \
        {                                                                                          \
            return &tag##_type;                                                                    \
        }                                                                                          \
    }
#define CMDS_CPP_RESULT(T, tag)                                                                    \
    template <> struct cmds::result_type<T> {                                                      \
        static constexpr const cmds_type *get() noexcept                                           \
        {                                                                                          \
            return &tag##_type;                                                                    \
        }                                                                                          \
    }

#endif
