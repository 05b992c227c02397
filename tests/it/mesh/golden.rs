//! Every printed form as a golden file.
