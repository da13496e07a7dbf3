# SPDX-License-Identifier: Apache-2.0
"""What a robot never runs: conversion, training, evaluation, benchmarks."""
