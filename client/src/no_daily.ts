// Stands in for @daily-co/daily-js, which fetches a script from another host when it starts.
export default {
  createCallObject(): never {
    throw new Error("This page brings its own microphone code and never starts Daily's.");
  },
};
